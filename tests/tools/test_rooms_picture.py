"""The picture of the rooms."""

from __future__ import annotations

import grimp
import rooms_picture

import cardbench


def test_rooms_are_the_packages_below_the_import_package_and_the_parts_of_a_split_one() -> None:
    modules = {
        "cardbench",
        "cardbench.__main__",
        "cardbench.emulator",
        "cardbench.emulator.chassis",
        "cardbench.emulator.chassis.memory",
        "cardbench.protocol.apdu",
    }
    assert rooms_picture.rooms(modules) == ["cardbench.emulator.chassis", "cardbench.protocol"]


def test_an_arrow_that_others_imply_is_left_out() -> None:
    arrows = {"top": {"middle", "bottom"}, "middle": {"bottom"}, "bottom": set[str]()}
    assert rooms_picture.without_implied(arrows) == {
        "top": {"middle"},
        "middle": {"bottom"},
        "bottom": set(),
    }


def test_arrows_come_from_the_imports_in_the_code() -> None:
    graph = grimp.build_graph(cardbench.__name__, cache_dir=None)
    drawn = rooms_picture.rooms(graph.modules)
    arrows = rooms_picture.arrows_between(drawn, graph)
    assert "cardbench.protocol" in arrows["cardbench.terminal"]
    assert arrows["cardbench.protocol"] == set()


def test_only_what_lies_between_the_marks_is_drawn_anew() -> None:
    page = f"before\n{rooms_picture.BEGIN}\nstale\n{rooms_picture.END}\nafter\n"
    drawn = rooms_picture.redrawn(page)
    assert drawn.startswith("before\n")
    assert drawn.endswith(f"{rooms_picture.END}\nafter\n")
    assert "stale" not in drawn
    assert "    terminal --> protocol\n" in drawn
    assert rooms_picture.redrawn(drawn) == drawn
