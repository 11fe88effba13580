"""The house: who may import whom, what stays light, and that nothing in it shadows another package.

Every guard also says how much it guarded: a guard that sees no files would pass for ever.
"""

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import guarding

HOUSE = Path(__file__).resolve().parent.parent / "hfft"
FILES = sorted(path for path in HOUSE.rglob("*.py") if "__pycache__" not in path.parts)
ROOMS = {"modalities", "metrics", "losses", "probes", "samplers"}

# Lowest first. A file may import from lower layers only. A new file gets its place here.
LAYERS = [
    {"budgets", "patterns"}
    | {"boundaries", "palette", "environment"}
    | {"schema_augment", "cutting", "slips"}
    | {"schema_adapt"}
    | {"schema_speed"}
    | {"timeline"}
    | {"projecting"}
    | {"schema_decide"}
    | {"schema_split"}
    | {"hues"}
    | {"steering", "credentials"}
    | {"scratch"},
    {"errors", "neighbours", "hamming", "registration", "wording", "disturbing", "evidence", "pieces"}
    | {"changes", "remembering"}
    | {"corrected"}
    | {"power_law"}
    | {"transferability"}
    | {"pooling"}
    | {"flattening"}
    | {"token_table"}
    | {"schema_data"},
    {"sessions"}
    | {"unusable", "text_lines"}
    | {"rooms", "references", "counts", "records", "pictures", "lite0", "trainer_options", "schema", "naming"}
    | {"agreeing"}
    | {"lost_peers", "reaching"}
    | {"locking", "mishaps"}
    | {"measures", "overlaps", "notation", "faults"}
    | {"archives", "parquet_pages"}
    | {"schema_model"}
    | {"arranging", "kept_pixels"}
    | {"batch_norms", "upsampling", "fcn", "soft_dice"}
    | {"schema_imbalance", "class_weights", "draws", "soft_labels"},
    {"milestones"}
    | {"launches"}
    | {"eight_bit", "onnx_graphs", "lite_graphs", "export_snippets"}
    | {"storages"}
    | {"parquet_sizes"}
    | {"working"}
    | {"card_front", "limitations"}
    | {"resamples", "rules", "run_folder", "perturbing", "explained_files"}
    | {"remedies"}
    | {"agreements"}
    | {"mask_records"}
    | {"masks"},
    {"jpegs"}
    | {"arrow_sizes"}
    | {"answers", "integrated_gradients", "grad_cam", "randomising"}
    | {"licences"}
    | {"shipping_facts", "card_marks"},
    {"recipe", "intervals", "limiting", "moments", "tallying", "sheets", "text_lengths", "picture_sizes"}
    | {"declared_sizes"}
    | {"picture_traits", "bucketing", "halving", "weakness"}
    | {"labelsets", "thresholds"}
    | {"card_files"}
    | {"pages"}
    | {"curve_telling", "curve_figures"}
    | {"rank_figures"}
    | {"biasing"}
    | {"accounting"}
    | {"quoting", "sketches", "perceptual", "ledger", "conformal", "nulls"},
    {"bad_rows", "mask_classes", "scenes"}
    | {"model_files"}
    | {"estimates", "luck", "binning", "text_traits", "slice_telling", "slice_columns", "erring"}
    | {"sharing"}
    | {"image_intervals"}
    | {"file_prints"}
    | {"scene_pixels"},
    {"gallery"} | {"contact_sheet"} | {"probe_telling"} | {"overlays"},
    {"pairing", "spooling", "shingles", "openings", "seeding", "means"} | {"noising"} | {"crossed"} | {"mask_scores"},
    {"mask_pairing", "mask_cautions", "mask_baselines", "mask_facts"} | {"source_faults"},
    {"token_mean"} | {"augmenting", "processors", "sources", "problems", "hub_access", "tempering", "abstaining"},
    {"fitted_pixels"} | {"outside"} | {"reliability", "withholding", "calibration_telling"} | {"mixing", "tokenising"},
    {"spreading"},
    {"locating"}
    | {"public_files", "hub_repo"}
    | {"arms"}
    | {"spaces"}
    | {"scene_models", "timm_models"}
    | {"mask_folders"},
    {"recommending"},
    {"backbones"} | {"anatomy"} | {"dropping"},
    {"freezing", "low_rank"} | {"picture_rows"} | {"packed_attention"},
    {"packing"},
    {"quickening"},
    {"text_saliency", "picture_saliency"} | {"export_inputs"},
    {"serving", "export_page"} | {"mask_rows", "file_groups"} | {"mask_profile"} | {"sequences"},
    {"worst_masks"},
    ROOMS,
    {"loading", "splitting", "dealing", "grouping", "guarding", "streaming", "batching", "claiming", "checkpoints"}
    | {"labelling", "apportioning", "settling", "objectives"}
    | {"segmenting", "pixel_counting"}
    | {"folds"}
    | {"class_texts"}
    | {
        "training",
        "trainer_arguments",
        "optimizing",
        "callbacks",
        "progress",
        "evaluate_modules",
        "predicting",
        "stopwatch",
        "stopping",
        "sweeping",
    }
    | {"resampling"}
    | {"saving", "interrupting", "resuming"}
    | {"scoring", "gating", "baselines", "reporting", "summarising", "figures", "sizing", "profiling"}
    | {"features", "probing", "robustness", "steadiness", "doubting", "comparing", "cautioning", "calibrating"}
    | {"calibration_figures", "verdicts", "describing", "slicing", "likening"}
    | {"behaviour_figures", "contrasting", "indexing"}
    | {"adapting", "precomputing", "mean_weights"}
    | {"keeping", "growing"}
    | {"rates"}
    | {"precisions", "compiling", "trial_steps"}
    | {"answering"}
    | {"winners"}
    | {"forwarding", "packed_linear"}
    | {"passes", "evaluation_loop", "int8_linear"}
    | {"studies", "watching", "trial_figures"},
    {"gathering", "ending", "deciding", "excerpts"}
    | {"extrapolating", "relabelling"}
    | {"ensembling", "uniting", "fold_pages"}
    | {"sameness"}
    | {"answer_rows"},
    {"rehearsing"} | {"engines"} | {"askers"} | {"parity"} | {"rereading", "pushed_cards"},
    {"inferring"} | {"input_rows", "answer_files"},
    {"inputs"},
    {"answer_tables"},
    {"judging", "yardsticks", "selecting"}
    | {"export_verdicts"}
    | {"export_answers"}
    | {"demo_facts"}
    | {"asking"}
    | {"reckoning"}
    | {"contenders", "holdouts", "entrants", "held_answers", "picking"},
    {"stressing"} | {"fold_judging"} | {"space_folder"},
    {"rate_finding"}
    | {"recalling"}
    | {"priming", "holding", "fold_weighing"}
    | {"verbs", "checking", "auditing", "weighing", "averaging", "explaining"}
    | {"exporting"}
    | {"parity_check"}
    | {"showing"}
    | {"publishing"}
    | {"bulk"},
    {"repeating", "presenting"} | {"trying", "demo_space"} | {"pushing"} | {"reproducing"},
    {"demo_page"},
    {"bakeoff"} | {"folding"} | {"searching"} | {"learning_curves"} | {"knockout"},
    {"trialling"},
    {"tuning"} | {"ranking"},
    {"nesting"},
    {"terminal", "phrases"},
    {"display", "display_rehearsal", "display_calibration", "display_seeds", "display_probes", "display_slices"}
    | {"display_explaining", "display_rates", "cli", "cli_before", "cli_after"}
    | {"display_batch"}
    | {"cli_export", "display_export"}
    | {"display_imbalance"}
    | {"display_folds"}
    | {"display_trials"}
    | {"display_curves"}
    | {"display_ranks"}
    | {"display_masks"}
    | {"display_reproduced"}
    | {"cli_ending"}
    | {"cli_predict"}
    | {"cli_push"}
    | {"cli_demo"},
    {"__init__", "__main__", "run"},
]
# Stages that lend a hand to another stage; everything else is brought together by verbs.
HELPERS = {
    ("cli", "claiming"),
    ("predicting", "passes"),
    ("training", "evaluation_loop"),
    ("training", "int8_linear"),
    ("predicting", "packed_linear"),
    ("evaluation_loop", "packed_linear"),
    ("evaluation_loop", "passes"),
    ("passes", "forwarding"),
    ("passes", "packed_linear"),
    ("predicting", "segmenting"),
    ("segmenting", "forwarding"),
    ("training", "pixel_counting"),
    ("pixel_counting", "scoring"),
    ("schema", "schema_imbalance"),
    ("schema", "schema_model"),
    ("trainer_arguments", "resampling"),
    ("training", "resampling"),
    ("resuming", "checkpoints"),
    ("loading", "labelling"),
    ("batching", "labelling"),
    ("streaming", "labelling"),
    ("splitting", "loading"),
    ("splitting", "apportioning"),
    ("splitting", "folds"),
    ("folds", "apportioning"),
    ("folds", "grouping"),
    ("splitting", "settling"),
    ("settling", "loading"),
    ("apportioning", "dealing"),
    ("splitting", "dealing"),
    ("splitting", "grouping"),
    ("splitting", "guarding"),
    ("grouping", "dealing"),
    ("batching", "loading"),
    ("batching", "dealing"),
    ("streaming", "batching"),
    ("streaming", "splitting"),
    ("streaming", "settling"),
    ("saving", "checkpoints"),
    ("training", "saving"),
    ("training", "interrupting"),
    ("training", "adapting"),
    ("training", "keeping"),
    ("training", "growing"),
    ("winners", "scoring"),
    ("training", "watching"),
    ("adapting", "precomputing"),
    ("adapting", "predicting"),
    ("adapting", "mean_weights"),
    ("precomputing", "predicting"),
    ("mean_weights", "checkpoints"),
    ("trainer_arguments", "objectives"),
    ("trainer_arguments", "precisions"),
    ("training", "callbacks"),
    ("training", "precisions"),
    ("training", "compiling"),
    ("compiling", "precisions"),
    ("compiling", "trial_steps"),
    ("precisions", "trial_steps"),
    ("training", "trial_steps"),
    ("trainer_arguments", "compiling"),
    ("training", "optimizing"),
    ("training", "stopping"),
    ("training", "precomputing"),
    ("excerpts", "stopwatch"),
    ("training", "progress"),
    ("training", "objectives"),
    ("training", "evaluate_modules"),
    ("training", "scoring"),
    ("evaluate_modules", "scoring"),
    ("reporting", "figures"),
    ("verdicts", "gating"),
    ("comparing", "scoring"),
    ("features", "predicting"),
    ("robustness", "comparing"),
    ("robustness", "scoring"),
    ("reporting", "summarising"),
    ("summarising", "figures"),
    ("cli", "display"),
    ("cli", "display_rehearsal"),
    ("display", "display_calibration"),
    ("display", "display_slices"),
    ("display", "display_masks"),
    ("reporting", "calibration_figures"),
    ("calibration_figures", "figures"),
    ("reporting", "behaviour_figures"),
    ("behaviour_figures", "figures"),
    ("contrasting", "behaviour_figures"),
    ("contrasting", "figures"),
    ("cli", "display_seeds"),
    ("cli", "display_probes"),
    ("cli_after", "display_probes"),
    ("cli_after", "display"),
    ("cli_after", "display_reproduced"),
    ("cli", "cli_after"),
    ("cli", "cli_ending"),
    ("cli", "cli_predict"),
    ("cli", "cli_export"),
    ("cli_export", "display_export"),
    ("cli", "cli_before"),
    ("cli_before", "display_rates"),
    ("display", "display_probes"),
    ("cli_after", "display_explaining"),
    ("cli", "display_batch"),
    ("answering", "scoring"),
    ("cli_before", "display_imbalance"),
    ("cli_before", "display_trials"),
    ("cli_before", "display_folds"),
    ("cli", "display_folds"),
    ("cli_before", "display_curves"),
    ("cli_before", "display_ranks"),
    ("cli", "cli_push"),
    ("cli", "cli_demo"),
}
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}
# Everything right of the predictions file, and the foundation under it.
NO_ML = ["errors", "rooms", "references", "counts", "records", "trainer_options", "schema", "naming", "measures"]
NO_ML += ["recipe", "intervals", "scoring", "gating", "baselines", "figures", "summarising", "reporting", "sizing"]
NO_ML += ["doubting", "sheets", "notation", "pairing", "comparing", "weighing", "resamples", "estimates"]
NO_ML += ["cautioning", "judging", "labelsets", "thresholds"]
NO_ML += ["neighbours", "overlaps", "sketches", "shingles", "hamming", "registration", "perceptual"]
NO_ML += ["quoting", "problems", "hub_access", "means", "binning", "nulls", "tempering", "conformal", "abstaining"]
NO_ML += ["reliability", "withholding", "calibrating", "calibration_telling", "calibration_figures"]
NO_ML += ["schema_augment", "agreements", "cutting", "noising", "slips", "contact_sheet"]
NO_ML += ["ledger", "luck", "openings", "run_folder", "perturbing"]
NO_ML += ["budgets", "patterns", "answers", "robustness", "steadiness"]
NO_ML += ["erring", "likening", "pieces", "explained_files"]
NO_ML += ["rules", "verdicts", "deciding", "seeding", "averaging"]
NO_ML += ["contrasting", "indexing", "presenting", "changes", "gallery", "pages", "behaviour_figures"]
NO_ML += ["wording", "disturbing"]
NO_ML += ["schema_decide", "biasing", "answering", "schema_split"]
NO_ML += ["schema_speed", "timeline", "accounting", "projecting"]
NO_ML += ["crossed", "arms", "recommending"]
LIGHT_ROOMS = ("metrics", "probes", "samplers")
NO_ML += ["schema_imbalance", "class_weights", "draws", "remedies"]
NO_ML += ["asking", "probe_telling"]
NO_ML += ["transferability", "held_answers", "picking", "rank_figures", "entrants"]
NO_ML += ["sharing"]
NO_ML += ["answer_rows", "answer_files", "input_rows"]
NO_ML += ["sessions", "eight_bit", "export_page", "export_snippets", "export_verdicts"]
NO_ML += ["schema_model"]
NO_ML += [
    "card_front",
    "card_marks",
    "limitations",
    "shipping_facts",
    "card_files",
    "public_files",
    "hub_repo",
    "pushed_cards",
    "publishing",
]
NO_ML += ["power_law", "extrapolating", "relabelling", "curve_telling", "curve_figures"]
NO_ML += ["uniting", "fold_pages", "fold_judging", "fold_weighing"]
NO_ML += ["bucketing", "halving", "weakness", "slice_telling", "slicing"]
NO_ML += ["demo_facts", "space_folder"]
NO_ML += ["flattening"]
NO_ML += ["locking", "mishaps", "working"]
NO_ML += [
    "boundaries",
    "palette",
    "mask_records",
    "image_intervals",
    "mask_scores",
    "mask_pairing",
    "mask_cautions",
    "mask_baselines",
]
NO_ML += ["scratch"]
NO_ML += ["lost_peers", "reaching"]
NO_ML += ["steering", "credentials", "archives", "parquet_pages", "parquet_sizes", "arrow_sizes", "declared_sizes"]
ML = {"torch", "transformers", "timm", "datasets", "evaluate", "accelerate"}


def unit(path: Path) -> str:
    """A file's unit in LAYERS: its stem, or its room."""
    return path.stem if path.parent == HOUSE else path.parent.name


@functools.cache
def imported(path: Path) -> list[str]:
    """Every module a file imports, at the top or inside a function; `from hfft import x` is hfft.x."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            whole = [f"hfft.{alias.name}" for alias in node.names] if node.module == "hfft" else [node.module or ""]
            found += whole
    return found


def edges() -> list[tuple[Path, str]]:
    """(file, unit of hfft it imports)"""
    return [(path, name.split(".")[1]) for path in FILES for name in imported(path) if name.startswith("hfft.")]


def fresh(code: str, *, cwd: Path) -> str:
    """stdout of `code` in a new Python, away from the checkout."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_has_a_place_and_every_place_a_file():
    assert len(FILES) > 30
    assert {unit(path) for path in FILES} == set(LEVEL)


def test_imports_point_to_lower_layers_only():
    found = edges()
    assert len(found) > 60
    wrong = [
        f"{path.relative_to(HOUSE)} imports hfft.{target}"
        for path, target in found
        if not LEVEL[target] < LEVEL[unit(path)] and (unit(path), target) not in HELPERS
    ]
    assert not wrong


def test_every_helper_pair_is_needed():
    assert {(unit(path), target) for path, target in edges()} >= HELPERS


def test_only_the_verbs_and_rehearsals_bring_stages_together():
    stages = LEVEL["training"]
    met = {unit(path): set() for path in FILES}
    for path, target in edges():
        if LEVEL[target] == stages and (unit(path), target) not in HELPERS:
            met[unit(path)].add(target)
    bringing = {"verbs", "judging", "yardsticks", "weighing", "checking", "auditing", "gathering", "ending"}
    bringing |= {"rehearsing", "stressing", "deciding", "repeating", "averaging", "selecting"}
    bringing |= {"presenting", "rate_finding"}
    bringing |= {"askers"}
    bringing |= {"sameness", "reproducing"}
    bringing |= {"showing"}
    bringing |= {"exporting", "parity", "export_verdicts"}
    bringing |= {"export_answers"}
    bringing |= {"explaining"}
    bringing |= {"tuning", "trialling", "searching", "reckoning"}
    bringing |= {"bakeoff"}
    bringing |= {"folding", "priming", "holding", "fold_weighing"}
    bringing |= {"asking"}
    bringing |= {"answer_rows", "engines", "inferring"}
    bringing |= {"learning_curves", "extrapolating", "relabelling"}
    bringing |= {"ensembling", "uniting", "fold_pages", "fold_judging"}
    bringing |= {"publishing", "pushed_cards", "rereading"}
    bringing |= {"demo_facts", "trying", "recalling", "space_folder"}
    bringing |= {"contenders", "holdouts", "entrants", "held_answers", "picking", "knockout", "ranking"}
    assert {name for name, targets in met.items() if targets} == bringing
    assert len(met["verbs"]) > 5


def test_the_judging_half_names_no_ml_library():
    guarded = [path for path in FILES if unit(path) in {*NO_ML, *LIGHT_ROOMS}]
    assert len(guarded) >= len(NO_ML) + 39
    wrong = [
        f"{path.relative_to(HOUSE)} imports {name}"
        for path in guarded
        for name in imported(path)
        if name.split(".")[0] in ML
    ]
    assert not wrong


def test_the_judging_half_loads_no_ml_library(tmp_path):
    """What the imports of imports bring in counts too."""
    rooms = [f"{room}.{path.stem}" for room in LIGHT_ROOMS for path in (HOUSE / room).glob("*.py")]
    assert len(rooms) >= 39
    code = "import importlib, sys, json\n"
    code += f"for name in {NO_ML + rooms}: importlib.import_module('hfft.' + name)\n"
    code += f"print(json.dumps([sorted({ML} & set(sys.modules)), 'hfft.reporting' in sys.modules]))"
    assert json.loads(fresh(code, cwd=tmp_path)) == [[], True]


def test_no_name_equals_an_importable_module(tmp_path):
    """`accelerate launch hfft/run.py` puts hfft/ first on the path: hfft/datasets.py would hide the real one."""
    names = [path.stem for path in HOUSE.glob("*.py") if not path.stem.startswith("__")]
    names += [path.name for path in HOUSE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(names) > 25
    code = "import importlib.util, json, sys\n"
    code += f"names = {[*names, 'datasets', 'statistics']}\n"
    code += "hit = [n for n in names if n in sys.stdlib_module_names or importlib.util.find_spec(n)]\n"
    code += "print(json.dumps(hit))"
    assert json.loads(fresh(code, cwd=tmp_path)) == ["datasets", "statistics"]


def test_no_file_is_longer_than_300_lines():
    lengths = {str(path.relative_to(HOUSE)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert sum(lengths.values()) > 3000
    assert not {name: n for name, n in lengths.items() if n > 300}


def test_every_module_says_what_it_is():
    undocumented = [path.name for path in FILES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert FILES and not undocumented


def test_importing_hfft_is_light(tmp_path):
    heavy = {*ML, "numpy", "pydantic", "yaml", "typer", "pyarrow"}
    code = f"import sys, hfft; assert hfft.train; print(sorted({heavy} & set(sys.modules)))"
    assert fresh(code, cwd=tmp_path) == "[]\n"


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["ls"], ["show", "tiny_textcls"]])
def test_help_and_recipes_load_no_ml_library(words, tmp_path):
    code = "import sys\nfrom hfft.cli import main\n"
    code += f"try:\n    main({words})\nexcept SystemExit as done:\n    assert not done.code\n"
    heavy = ML | {"scipy", "sklearn", "pandas", "matplotlib"} | ({"numpy", "pyarrow"} if "--help" in words else set())
    code += f"print('loaded', sorted({heavy} & set(sys.modules)))"
    out = fresh(code, cwd=tmp_path)
    assert out.endswith("loaded []\n") and len(out) > 200


def test_training_cannot_see_the_test_split():
    """No function of the stage has a parameter that could hold it."""
    tree = ast.parse((HOUSE / "training.py").read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    taken = {arg.arg for node in functions for arg in [*node.args.args, *node.args.kwonlyargs]}
    assert {"train", "validation"} <= taken
    assert not taken & {"test", "splits", "parts", "table"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == "test"]


CALLS = """
import socket, sys
plain, letters = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
calls = [
    lambda: socket.getaddrinfo("example.com", 443),
    lambda: plain.connect(("192.0.2.1", 80)),
    lambda: plain.connect_ex(("192.0.2.1", 80)),
    lambda: letters.sendto(b"?", ("192.0.2.1", 53)),
    lambda: socket.getaddrinfo("huggingface.co", 443),
    lambda: socket.gethostbyname("huggingface.co"),
]
for call in calls:
    try:
        call()
    except RuntimeError as error:  # a library that takes OSError for granted does not catch it
        assert "offline" in str(error), error
    else:
        raise SystemExit(f"{calls.index(call)} went through")
plain.close(), letters.close()
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
    socket.getaddrinfo("localhost", 80)
"""


@pytest.mark.parametrize("child", [False, True], ids=["here", "in a process that a test starts"])
def test_the_network_is_off(no_network, child, tmp_path):
    fresh(CALLS, cwd=tmp_path) if child else exec(CALLS, {})
    noted = no_network.read_text().splitlines()
    assert len(noted) == 6 and "huggingface.co" in noted, "and nothing_reached_out would fail this test"
    no_network.write_text("")


def test_files_and_this_machine_are_no_network():
    assert guarding.target("socket.connect", (None, "/tmp/a.sock")) is None
    assert guarding.target("socket.sendmsg", (None, None)) is None
    assert guarding.target("socket.connect", (None, (0, 0))) is None, "the kernel's own, by number"
    assert guarding.target("socket.connect", (None, ("::1", 80, 0, 0))) is None
    assert guarding.target("socket.getaddrinfo", (b"huggingface.co", 443, 0, 0, 0)) == b"huggingface.co"


def test_warnings_are_errors():
    import warnings

    with pytest.raises(UserWarning):
        warnings.warn("stop", UserWarning, stacklevel=1)
