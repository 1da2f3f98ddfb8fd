import torch

from codeclab.quantizers import kmeans as module
from codeclab.quantizers.kmeans import draw_indices, kmeans, nearest


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_kmeans_finds_separate_clusters():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = (centres[:, None] + 0.1 * torch.randn(4, 50, 2)).flatten(0, 1)
    results = [kmeans(points, 4, 20, generator(seed)) for seed in range(10)]
    errors = [float((points - means[nearest(points, means)]).square().sum(1).mean()) for means, _ in results]
    assert min(errors) < 0.05
    means, counts = results[errors.index(min(errors))]
    assert counts.tolist() == [50] * 4
    assert bool((torch.cdist(centres, means).min(1).values < 0.1).all())


def test_kmeans_lowers_distortion_with_iterations():
    points = torch.randn(500, 4)

    def distortion(iterations):
        means, _ = kmeans(points, 16, iterations, generator())
        return float((points - means[nearest(points, means)]).square().mean())

    assert distortion(1) > distortion(3) > distortion(10)


def test_kmeans_means_are_the_means_of_their_vectors():
    points = torch.randn(300, 3)
    means, counts = kmeans(points, 8, 100, generator())
    codes = nearest(points, means)
    for entry in range(8):
        assert int(counts[entry]) == int((codes == entry).sum())
        torch.testing.assert_close(means[entry], points[codes == entry].mean(0))


def test_kmeans_with_fewer_vectors_than_clusters_keeps_vectors():
    points = torch.randn(5, 3)
    means, counts = kmeans(points, 12, 10, generator())
    assert int(counts.sum()) == 5
    assert bool((torch.cdist(means, points).min(1).values < 1e-5).all())


def test_drawn_indices_are_distinct_while_there_are_enough():
    assert sorted(draw_indices(10, 10, generator()).tolist()) == list(range(10))
    assert len(set(draw_indices(1000, 50, generator()).tolist())) == 50
    assert sorted(draw_indices(3, 6, generator()).tolist()) == [0, 0, 1, 1, 2, 2]


def test_long_searches_are_cut_without_changing_them(monkeypatch):
    vectors, entries = torch.randn(100, 4), torch.randn(8, 4)
    whole = nearest(vectors, entries)
    monkeypatch.setattr(module, "CPU_SEARCH_ROWS", 7)
    assert torch.equal(nearest(vectors, entries), whole)
    assert torch.equal(whole, torch.cdist(vectors, entries).argmin(1))
