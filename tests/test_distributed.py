# SPDX-License-Identifier: Apache-2.0
"""Ranks that are real processes, one of which dies, and others that go on."""

import json
import os
import random
import subprocess
import sys
import textwrap

import epoch_files
import pytest

from fast_axolotl import StreamingDataset

torch_distributed = pytest.importorskip("torch.distributed")
torch_multiprocessing = pytest.importorskip("torch.multiprocessing")
pytestmark = pytest.mark.skipif(
    not (torch_distributed.is_available() and torch_distributed.is_gloo_available()),
    reason="torch has no gloo here",
)

# A rank writes down each batch once all ranks are through with the step, as an optimizer
# step would end; every third step one of them, not always the same, saves the state.
RANK = """
    import datetime, json, os, signal, sys
    import torch
    import torch.distributed as dist
    from fast_axolotl import StreamingDataset

    folder, data, workers, state, dies_at = sys.argv[1:]
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=world,
        timeout=datetime.timedelta(seconds=60),
    )
    dataset = StreamingDataset(data, 5, ["id"], shuffle=True, shuffle_window=40, seed=3)
    if state:
        dataset.load_state_dict(json.loads(open(state).read()))
    loader = dataset.loader(num_workers=int(workers))
    log = open(f"{folder}/{rank}.jsonl", "w")
    for epoch in range(2):
        for step, batch in enumerate(loader):
            if rank == world - 1 and epoch == 0 and step == int(dies_at):
                os.kill(os.getpid(), signal.SIGKILL)
            total = torch.ones(1)
            dist.all_reduce(total)
            assert total.item() == world
            print(json.dumps([epoch, step, batch["id"]]), file=log, flush=True)
            if epoch == 0 and step % 3 == 2 and rank == step // 3 % world:
                with open(f"{folder}/state.tmp", "w") as file:
                    json.dump([step, dataset.state_at(step + 1)], file)
                os.rename(f"{folder}/state.tmp", f"{folder}/state.json")
    dist.barrier()
    os._exit(0)
"""


def run(folder, data, world, workers, state="", dies_at=-1):
    """Run the ranks; return how they ended and what they wrote: {(epoch, step): ids}."""
    folder.mkdir()
    ranks = [
        subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                textwrap.dedent(RANK),
                *map(str, (folder, data, workers, state, dies_at)),
            ],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "RANK": str(rank),
                "WORLD_SIZE": str(world),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        errors = [rank.communicate(timeout=90)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    found = []
    for rank in range(world):
        lines = (folder / f"{rank}.jsonl").read_text().splitlines()
        found.append({(e, s): ids for e, s, ids in map(json.loads, lines)})
    return [rank.returncode for rank in ranks], errors, found


def in_order(found, epoch, steps=None):
    """The batches of an epoch in the order of their numbers, and steps of each rank."""
    count = {sum(e == epoch for e, _ in rank) for rank in found}
    if steps is None:
        assert len(count) == 1  # as many on every rank
        (steps,) = count
    return [rank[epoch, step] for step in range(steps) for rank in found]


def test_a_rank_dies_and_others_go_on(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for i in range(7):
        ids = range(100 * i, 100 * i + 41 + i)
        (data / f"{i}.jsonl").write_bytes(epoch_files.lines(ids, 60))
    dies_at = random.randrange(4, 15)
    print("dies at", dies_at)

    codes, errors, before = run(tmp_path / "before", data, 4, 2, dies_at=dies_at)
    assert codes[3] == -9
    assert all(code not in (0, -9) for code in codes[:3]), errors
    step, state = json.loads((tmp_path / "before" / "state.json").read_text())
    assert step == dies_at // 3 * 3 - 1
    assert (state["batch"], state["lanes"]) == (4 * (step + 1), 8)
    (tmp_path / "state.json").write_text(json.dumps(state))

    codes, errors, after = run(tmp_path / "after", data, 3, 1, tmp_path / "state.json")
    assert codes == [0, 0, 0], errors

    alone = StreamingDataset(
        data, 5, ["id"], shuffle=True, shuffle_window=40, seed=3, num_lanes=8
    )
    epochs = [[batch["id"] for batch in alone] for _ in range(2)]
    found = in_order(before, 0, step + 1) + in_order(after, 0)
    extra = len(found) - len(epochs[0])
    assert 0 <= extra < 3
    assert found[: len(epochs[0])] == epochs[0]
    assert found[len(epochs[0]) :] == epochs[0][:extra]  # tail="repeat"
    assert sorted(i for batch in epochs[0] for i in batch) == sorted(
        i for n in range(7) for i in range(100 * n, 100 * n + 41 + n)
    )
    # The next epoch, too, is that of an uninterrupted run.
    found = in_order(after, 1)
    assert found[: len(epochs[1])] == epochs[1]
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("known", ["group", "launcher", "nothing"])
def test_who_says_the_rank(tmp_path, known):
    """torch.distributed, then the launcher's variables, then nobody."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(epoch_files.lines(range(20), 60))
    code = f"""
        import os, sys
        import torch.distributed as dist
        from fast_axolotl import StreamingDataset
        path = sys.argv[1]
        if {known == "launcher"}:
            os.environ.update(RANK="1", WORLD_SIZE="2")
        dataset = StreamingDataset(path, 5)  # asks when it is iterated
        if {known == "group"}:
            os.environ.update(RANK="1", WORLD_SIZE="2")
            dist.init_process_group("gloo", init_method=f"file://{{path}}.x", rank=0,
                                    world_size=1)
            assert len(StreamingDataset(path, 5, distributed=dist.group.WORLD)) == 4
        print(len(dataset), len(list(dataset)))
        print(len(list(StreamingDataset(path, 5, distributed="off"))))
        print(len(list(StreamingDataset(path, 5, distributed=(0, 4)))))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    own = 2 if known == "launcher" else 4
    assert done.stdout.split() == [str(own), str(own), "4", "1"]


def _train(rank, world, folder, dataset, loader_options):
    torch_distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world
    )
    loader = dataset.loader(**loader_options)
    found = [[batch["id"] for batch in loader] for _ in range(2)]
    (folder / f"{rank}.json").write_text(json.dumps(found))
    torch_distributed.barrier()
    os._exit(0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_spawned_ranks(tmp_path, context):
    """They read their rank's share, not that of the process that spawned the ranks."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(epoch_files.lines(range(97), 60))
    options = {"shuffle": True, "shuffle_window": 40, "tail": "keep"}
    dataset = StreamingDataset(path, 5, ["id"], distributed="auto", **options)
    loader_options = {"num_workers": 2, "multiprocessing_context": context}
    torch_multiprocessing.spawn(_train, (2, tmp_path, dataset, loader_options), nprocs=2)
    alone = StreamingDataset(path, 5, ["id"], num_lanes=4, **options)
    expected = [[batch["id"] for batch in alone] for _ in range(2)]
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found == [batches[rank::2] for batches in expected]
