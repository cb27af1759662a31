# SPDX-License-Identifier: Apache-2.0
"""Mixtures: who gives which batch, what is in it, where an epoch ends, resume."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fast_axolotl
from fast_axolotl import StreamingDataset, mix


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mix")
    made = []
    for name, rows in (("a", 500), ("b", 230), ("c", 90)):
        path = folder / f"{name}.jsonl"
        path.write_text(
            "".join(
                json.dumps({"from": name, "id": i, f"only_{name}": i}) + "\n"
                for i in range(rows)
            )
        )
        made.append(path)
    return made


def sources(paths, **kw):
    return [
        StreamingDataset(path, size, shuffle=i != 1, seed=i, shuffle_window=64, **kw)
        for i, (path, size) in enumerate(zip(paths, (10, 7, 5), strict=True))
    ]


def origins(batches):
    return [batch["from"][0] for batch in batches]


def test_every_batch_is_one_of_a_source_in_its_order(paths):
    a, b, c = sources(paths, num_lanes=1)
    batches = list(mix([a, b, c], [3, 2, 1], seed=5))
    for source in (a, b, c):
        count = Counter(origins(batches))[source_name(source)]
        own = list(source)[:count]
        of_source = [x for x in batches if x["from"][0] == source_name(source)]
        assert [x["id"] for x in of_source] == [x["id"] for x in own]
        assert all(set(x["from"]) == {source_name(source)} for x in of_source)


def source_name(source):
    return source.files[0].rsplit("/", 1)[1][0]


def test_columns_are_united_by_name(paths):
    mixed = mix(sources(paths), seed=1)
    names = ["from", "id", "only_a", "only_b", "only_c"]
    assert mixed.columns == names
    for batch in mixed:
        assert list(batch) == names
        (origin,) = set(batch["from"])
        for name in ("a", "b", "c"):
            values = batch[f"only_{name}"]
            assert values == (batch["id"] if name == origin else [None] * len(values))


def test_weights_are_kept(paths, tmp_path):
    for name in "xy":
        (tmp_path / f"{name}.txt").write_text("row\n" * 8192)
    x, y = (StreamingDataset(tmp_path / f"{n}.txt", 1) for n in "xy")
    tagged = [
        x.map(lambda batch: {**batch, "from": ["x"]}),
        y.map(lambda batch: {**batch, "from": ["y"]}),
    ]
    for weights, share in (([3, 1], 0.75), (None, 0.5), ([0.1, 0.9], 0.1)):
        counts = Counter(origins(mix(tagged, weights, seed=2).take(2048)))
        assert abs(counts["x"] / 2048 - share) <= 1 / 1024


def test_an_epoch_ends_with_the_first_or_with_all(paths):
    first = list(mix(sources(paths), [1, 1, 1], seed=3))
    # 18 batches of c are the fewest: the epoch ends where a 19th would come.
    assert Counter(origins(first))["c"] == 18
    every = mix(sources(paths), [1, 1, 1], seed=3, stop="all")
    batches = list(every)
    rows = {(batch["from"][0], i) for batch in batches for i in batch["id"]}
    assert len(rows) == 500 + 230 + 90
    assert len(batches) == len(every)
    assert Counter(origins(batches))["a"] == 50
    # c came round several times, each time in another order.
    ids = [i for batch in batches if batch["from"][0] == "c" for i in batch["id"]]
    assert sorted(ids[:90]) == list(range(90))
    again = ids[90:180]
    assert len(set(again)) == len(again) > 50
    assert again != ids[: len(again)]


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.floats(0.05, 10), min_size=3, max_size=3),
    seed=st.integers(0, 2**64 - 1),
    lanes=st.integers(1, 5),
    world=st.integers(1, 4),
    cut=st.integers(0, 60),
    stop=st.sampled_from(["first", "all"]),
)
def test_topology_and_resume_change_nothing(
    paths, weights, seed, lanes, world, cut, stop
):
    def make(**kw):
        kw = {"seed": seed, "num_lanes": lanes, "stop": stop, "tail": "keep"} | kw
        return mix(sources(paths), weights, **kw)

    whole = list(make())
    assert len(whole) == len(make())
    ranks = [list(make(distributed=(rank, world))) for rank in range(world)]
    assert [ranks[j % world][j // world] for j in range(len(whole))] == whole
    started = make()
    iterator = iter(started)
    begun = [batch for _, batch in zip(range(cut), iterator, strict=False)]
    state = json.loads(json.dumps(started.state_dict()))
    resumed = make()
    resumed.load_state_dict(state)
    # Behind the last batch the epoch still has to end.
    rest = list(resumed) if cut <= len(whole) else []
    assert begun + rest == whole
    # The same turns, another order of the rows, in the next epoch.
    again = list(resumed)
    assert origins(again) == origins(whole)


def test_workers(paths):
    pytest.importorskip("torch", reason="torch is not installed")
    make = lambda: mix(sources(paths), [2, 1, 1], seed=9, num_lanes=2)  # noqa: E731
    assert list(make().loader(num_workers=2)) == list(make())


def test_a_state_belongs_to_one_mixture(paths):
    state = mix(sources(paths), [1, 2, 3], seed=1).state_dict()
    for other in (
        mix(sources(paths), [1, 2, 4], seed=1),
        mix(sources(paths)[:2], seed=1),
        mix(sources(paths), [1, 2, 3], seed=1, stop="all"),
        mix(sources(paths), [1, 2, 3], seed=2),
    ):
        with pytest.raises(ValueError, match="other"):
            other.load_state_dict(state)


def test_take_skip_and_map_come_after(paths):
    whole = list(mix(sources(paths), seed=4))
    part = mix(sources(paths), seed=4).skip(5).take(10).map(lambda batch: batch["id"])
    assert list(part) == [batch["id"] for batch in whole[5:15]]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([],), ValueError, "at least one"),
        (("a.jsonl",), TypeError, "list of StreamingDataset"),
        (([1],), TypeError, "list of StreamingDataset"),
        ((None, [1]), ValueError, "3 datasets need 3 weights"),
        ((None, [1, 0, 1]), ValueError, "positive"),
        ((None, [1, float("nan"), 1]), ValueError, "positive"),
        ((None, ["x", 1, 1]), TypeError, "numbers only"),
        ((None, "111"), TypeError, "list of numbers"),
    ],
)
def test_wrong_arguments(paths, arguments, error, match):
    first, *rest = arguments
    with pytest.raises(error, match=match):
        mix(sources(paths) if first is None else first, *rest)


def test_wrong_options(paths):
    with pytest.raises(ValueError, match="stop must be"):
        mix(sources(paths), stop="last")
    with pytest.raises(ValueError, match="take\\(\\) and skip\\(\\) come after"):
        mix([sources(paths)[0].take(3)])
    with pytest.raises(ValueError, match="fewer than the 64 lanes"):
        list(mix(sources(paths), stop="all", num_lanes=64))
    assert isinstance(mix(sources(paths)), fast_axolotl.MixedDataset)
