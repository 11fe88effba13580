"""The page to try a model, in a browser: gradio's frame around the functions of `trying`.

In: a finished run, a port. Out: a page on this machine. It must not know how answers are made. Nothing of the page
comes from elsewhere and nothing goes elsewhere: no fonts, no statistics, no sharing; inputs are deleted at the end.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path
from typing import Any

from hfft import recalling, scratch, trying
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.run_folder import RunFolder
from hfft.trying import Trial

HOST, PORT = "127.0.0.1", 7860
TRIES = 100  # ports looked at after a taken one
LARGEST = "50mb"  # of an uploaded picture
TRY = "Try one of these"
LIVE = '<div aria-live="polite">${value}</div>'  # read aloud when it changes
STYLE = Path(__file__).parent / "templates" / "demo.css"
MISSING = "the page to try a model needs gradio; type: pip install 'hfft[page]'"
FONT = ("system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
# White on gradio's own orange is 3.6 : 1; on this blue it is 6.6 : 1, as on the pages of hfft.
PAINT = {"button_primary_background_fill": "#1f5f99", "button_primary_background_fill_hover": "#174a78"}
PAINT |= {f"{name}_dark": value for name, value in PAINT.items()}
MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")


def serve(
    run: str, port: int = PORT, host: str = HOST, browse: bool = False, neighbours: int = recalling.ROWS,
    say: Say = print,
) -> None:  # fmt: skip
    """Show the page until Ctrl-C. neighbours: training rows looked at, at most; 0: the data is not read.

    Raises InputError without gradio, without a model, or where the port is taken.
    """
    RunFolder.existing(run, folds=True)
    free(host, port)
    gradio()
    trial = trying.load(run)
    page = None
    with scratch.folder("demo") as place:
        os.environ["GRADIO_TEMP_DIR"] = str(place)  # what is brought to the page is gone when it ends
        trial.shelf = shelf = recalling.begun(trial.folder, trial.wanted, place, neighbours)
        try:
            page = build(trial)
            say(f"{trial.folder.root.name}: {launch(page, host, port, browse)}  (Ctrl-C ends it)")
            if not shelf.ready:  # while the page is there already
                recalling.fill(shelf, trial.folder, trial.wanted, trial.modality, trial.names, place, neighbours, say)
            wait(page)
        except KeyboardInterrupt:
            pass
        finally:
            if page is not None:
                page.close(verbose=False)


def wait(page: Any) -> None:
    """Until Ctrl-C; gradio's own `block_thread` would print a sentence about it."""
    while page.is_running:
        time.sleep(0.5)


def gradio() -> Any:
    """The library, which says nothing to anyone. Raises InputError where it is not installed."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read at import
    os.environ["GRADIO_RUN_HISTORY"] = "False"  # a switch of `launch` only of later versions
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio as library
    except ImportError as error:
        raise InputError(MISSING) from error
    return library


def build(trial: Trial) -> Any:
    """The page as gradio's Blocks, not yet served."""
    gr, shelf = gradio(), trial.shelf
    with gr.Blocks(title=f"{trial.about['name']}: try it", analytics_enabled=False) as page:
        gr.HTML(trying.html("head", trial.about))
        with gr.Row(elem_id="desk"):
            with gr.Column(min_width=0, elem_id="ask"):
                inputs = _picture(gr) if trial.modality.INPUT == "image" else _texts(gr, trial.pair)
                press = gr.Button("Answer", variant="primary")
            with gr.Column(min_width=0, elem_id="answers"):
                answer = gr.HTML(elem_id="answer", html_template=LIVE)
                near = gr.HTML(elem_id="near", html_template=LIVE)
            with gr.Column(min_width=0, elem_id="rows"):
                table = gr.Dataset(**_examples(trial, inputs), type="index", label=TRY, elem_id="examples")
        gr.HTML(trying.html("about", trial.about))
        clock = gr.Timer(1.0, active=not shelf.ready)
        hidden = {"show_progress": "hidden", "api_name": False}
        took = table.click(lambda place: _taken(shelf.examples[place].inputs), table, inputs, **hidden)
        for event in (press.click, *(part.submit for part in inputs if hasattr(part, "submit")), took.then):
            shown = event(lambda *given: (trial.answer(*given), ""), inputs, [answer, near], **hidden)
            shown.then(trial.near, inputs, near, **hidden)
        clock.tick(lambda: _ticked(gr, trial, inputs), None, [table, clock], **hidden)
    return page


def _examples(trial: Trial, inputs: list[Any]) -> dict[str, Any]:
    """What the table of examples holds: the input, its label, and which split it is of."""
    rows = trial.shelf.examples
    pictured = trial.modality.INPUT == "image"
    told = [
        [
            *(row.inputs if pictured else map(recalling.readable, row.inputs)),
            *([] if trial.wanted.masks else [row.label]),
            row.origin,
        ]
        for row in rows
    ]
    heads = [part.label for part in inputs] + ([] if trial.wanted.masks else ["Labelled"]) + ["From"]
    kinds = ["image" if pictured else "textbox"] * len(inputs)
    kinds += ["textbox"] * (len(heads) - len(inputs))
    return {"components": kinds, "samples": told, "headers": heads, "visible": bool(rows), "layout": "table"}


def _taken(inputs: tuple[str, ...]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _ticked(gr: Any, trial: Trial, inputs: list[Any]) -> tuple[Any, Any]:
    """The examples as far as they are known, until all are."""
    table = _examples(trial, inputs)
    del table["components"]
    return gr.Dataset(**table), gr.Timer(active=not trial.shelf.ready)


def launch(page: Any, host: str, port: int, browse: bool = False) -> str:
    """Serve it; its address. Every switch that could reach out, or keep what was typed, is off."""
    gr = gradio()
    theme = gr.themes.Default(primary_hue="blue", font=FONT, font_mono=MONO).set(**PAINT)
    _, url, _ = page.launch(
        server_name=host, server_port=port, inbrowser=browse, share=False, quiet=True, prevent_thread_lock=True,
        footer_links=[], enable_monitoring=False, mcp_server=False, ssr_mode=False, pwa=False,
        num_workers=0, show_error=True, max_file_size=LARGEST, theme=theme, css_paths=STYLE,
    )  # fmt: skip
    return str(url)


def free(host: str, port: int) -> None:
    """Raise InputError where nothing can listen on the port, and say which is the next free one."""
    why = _listens(host, port)
    if why is None:
        return
    if why == errno.EADDRNOTAVAIL:
        raise InputError(f"--host {host}: no address of this machine; type 127.0.0.1, or 0.0.0.0 to let others in")
    following = range(max(port, 1024) + 1, min(max(port, 1024) + TRIES, 65536))
    after = next((other for other in following if _listens(host, other) is None), None)
    taken = "only an administrator may use" if why == errno.EACCES else "is taken on"
    raise InputError(f"--port {port} {taken} {host}" + (f"; {after} is free: --port {after}" if after else ""))


def _listens(host: str, port: int) -> int | None:
    """None where a page can listen there, else the error's number."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((host, port))
    except socket.gaierror:
        return errno.EADDRNOTAVAIL
    except OSError as error:
        return error.errno or errno.EADDRINUSE
    return None


def _texts(gr: Any, pair: bool) -> list[Any]:
    first = gr.Textbox(label="First text" if pair else "Text", lines=4)
    return [first, gr.Textbox(label="Second text", lines=4)] if pair else [first]


def _picture(gr: Any) -> list[Any]:
    """A picture as a file: gradio would open it itself, and a broken or a huge one would end as its error."""
    box = gr.Image(label="Picture", type="filepath", sources=["upload", "clipboard"], buttons=[])
    box.preprocess = lambda payload: payload and payload.path
    return [box]
