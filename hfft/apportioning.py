"""Rows of several classes into splits, so that every class keeps its share in each of them.

In: the classes of each key, shares and a seed. Out: a split's name per key, and sentences on what could not be dealt
as asked. The result depends on content and seed, never on the order of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hfft.dealing import Keys, Shares, alone_in_train
from hfft.limiting import draw


def by_classes(sets: Mapping[str, Sequence[str]], shares: Shares, seed: int) -> tuple[Keys, list[str]]:
    """(key → split, findings): iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, ECML, algorithm 1).

    The class with the fewest keys left is dealt first, each of its keys to the split that wants most of the class, then
    most keys; keys without a class fill up the sizes. Beyond the paper, a class with as many keys as there are splits
    gets one in each, and every class is in train.
    """
    order = sorted(sets, key=lambda key: (draw(key, seed), key))
    dealing = _Dealing(sets, shares, order)
    while dealing.left:
        name = min(dealing.left, key=lambda name: (dealing.left[name], name))
        for key in dealing.members[name]:
            if key not in dealing.out:
                dealing.place(key, dealing.choice(name))
    for key in order:
        if key not in dealing.out:
            dealing.place(key, max(shares, key=lambda split: dealing.keys_wanted[split]))
    dealing.give_train_every_class()
    alone = [name for name, held in sorted(dealing.held.items()) if set(+held) == {"train"}]
    return dealing.out, alone_in_train([f"{name} ({dealing.held[name]['train']})" for name in alone], "distinct rows")


class _Dealing:
    """What each split still wants; the state of one dealing.

    left: class → keys not dealt yet. held: class → split → keys dealt.
    """

    def __init__(self, sets: Mapping[str, Sequence[str]], shares: Shares, order: Sequence[str]) -> None:
        self.sets, self.shares = sets, shares
        self.members: dict[str, list[str]] = {}
        for key in order:
            for name in sets[key]:
                self.members.setdefault(name, []).append(key)
        self.left = Counter({name: len(keys) for name, keys in self.members.items()})
        self.wanted = {
            name: {split: len(keys) * share for split, share in shares.items()} for name, keys in self.members.items()
        }
        self.keys_wanted = {split: len(sets) * share for split, share in shares.items()}
        self.held: dict[str, Counter[str]] = {name: Counter() for name in self.members}
        self.out: Keys = {}

    def choice(self, name: str) -> str:
        """The split for a key of this class."""
        lacking = [split for split in self.shares if not self.held[name][split]]
        among = list(self.shares)
        if len(self.members[name]) < len(among):
            among = ["train"]  # too few to be measured: they are learnt
        elif self.left[name] <= len(lacking):
            among = lacking
        return max(among, key=lambda split: (self.wanted[name][split], self.keys_wanted[split]))

    def place(self, key: str, split: str) -> None:
        self.out[key] = split
        self.keys_wanted[split] -= 1
        for name in self.sets[key]:
            self.wanted[name][split] -= 1
            self.held[name][split] += 1
            self.left[name] -= 1
            if not self.left[name]:
                del self.left[name]

    def give_train_every_class(self) -> None:
        """A class whose keys all went elsewhere with a rarer one cannot be learnt: its first key moves to train."""
        for name in sorted(self.members):
            if not self.held[name]["train"]:
                key = self.members[name][0]
                for other in self.sets[key]:
                    self.held[other][self.out[key]] -= 1
                    self.held[other]["train"] += 1
                self.out[key] = "train"
