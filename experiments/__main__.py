from codeclab.experiments.cli import main

main()
