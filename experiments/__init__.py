"""Lightning module, losses, balancer, rate sampling, data, recipes, scales, tables, runner, command line."""
