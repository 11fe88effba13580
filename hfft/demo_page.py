"""The page to try a model, in a browser: gradio's frame around the functions of `trying`.

In: a finished run, a port. Out: a page on this machine. It must not know how answers are made. Nothing of the page
comes from elsewhere and nothing goes elsewhere: no fonts, no statistics, no sharing; inputs are deleted at the end.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from hfft import trying
from hfft.errors import InputError
from hfft.gathering import Say
from hfft.trying import Trial

HOST, PORT = "127.0.0.1", 7860
TRIES = 100  # ports looked at after a taken one
LARGEST = "50mb"  # of an uploaded picture
STYLE = Path(__file__).parent / "templates" / "demo.css"
MISSING = "the page to try a model needs gradio; type: pip install 'hfft[page]'"
FONT = ("system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
# White on gradio's own orange is 3.6 : 1; on this blue it is 6.6 : 1, as on the pages of hfft.
PAINT = {"button_primary_background_fill": "#1f5f99", "button_primary_background_fill_hover": "#174a78"}
PAINT |= {f"{name}_dark": value for name, value in PAINT.items()}
MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")


def serve(run: str, port: int = PORT, host: str = HOST, browse: bool = False, say: Say = print) -> None:
    """Show the page until Ctrl-C. Raises InputError without gradio, without a model, or where the port is taken."""
    gradio()
    free(host, port)
    trial = trying.load(run)
    with tempfile.TemporaryDirectory(prefix="hfft-demo-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        page = build(trial)
        try:
            url = launch(page, host, port, browse)
            say(f"{trial.folder.root.name}: {url}  (Ctrl-C ends it)")
            page.block_thread()
        except KeyboardInterrupt:
            pass
        finally:
            page.close(verbose=False)


def gradio() -> Any:
    """The library, which says nothing to anyone. Raises InputError where it is not installed."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read at import
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio as library
    except ImportError as error:
        raise InputError(MISSING) from error
    return library


def build(trial: Trial) -> Any:
    """The page as gradio's Blocks, not yet served."""
    gr = gradio()
    pictured = trial.modality.INPUT == "image"
    with gr.Blocks(title=f"{trial.about['name']}: try it", analytics_enabled=False) as page:
        gr.HTML(trying.html("head", trial.about))
        with gr.Row():
            with gr.Column(min_width=320):
                inputs = _picture(gr) if pictured else _texts(gr, trial.pair)
                press = gr.Button("Answer", variant="primary")
            with gr.Column(min_width=320):
                answer = gr.HTML(elem_id="answer", html_template=LIVE)
        gr.HTML(trying.html("about", trial.about))
        ask = trial.picture if pictured else trial.text
        events = [press.click, *([] if pictured else [part.submit for part in inputs])]
        gr.on(events, ask, inputs, answer, show_progress="hidden", api_name="answer")
    return page


LIVE = '<div aria-live="polite">${value}</div>'


def launch(page: Any, host: str, port: int, browse: bool = False) -> str:
    """Serve it; its address. Every switch that could reach out, or keep what was typed, is off."""
    gr = gradio()
    theme = gr.themes.Default(font=FONT, font_mono=MONO).set(**PAINT)
    _, url, _ = page.launch(
        server_name=host, server_port=port, inbrowser=browse, share=False, quiet=True, prevent_thread_lock=True,
        footer_links=[], run_history=False, enable_monitoring=False, mcp_server=False, ssr_mode=False, pwa=False,
        num_workers=0, show_error=True, max_file_size=LARGEST, theme=theme, css_paths=STYLE,
    )  # fmt: skip
    return str(url)


def free(host: str, port: int) -> None:
    """Raise InputError where nothing can listen on the port, and say which is the next free one."""
    if _listens(host, port):
        return
    after = next((other for other in range(port + 1, min(port + TRIES, 65535)) if _listens(host, other)), None)
    told = f"; {after} is free: --port {after}" if after else ""
    raise InputError(f"port {port} of {host} is taken{told}")


def _listens(host: str, port: int) -> bool:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
        except OSError:
            return False
    return True


def _texts(gr: Any, pair: bool) -> list[Any]:
    first = gr.Textbox(label="First text" if pair else "Text", lines=4, autofocus=True, submit_btn=False)
    return [first, gr.Textbox(label="Second text", lines=4)] if pair else [first]


def _picture(gr: Any) -> list[Any]:
    """A picture as a file: gradio would open it itself, and a broken or a huge one would end as its error."""
    box = gr.Image(label="Picture", type="filepath", sources=["upload", "clipboard"], buttons=[])
    box.preprocess = lambda payload: payload and payload.path
    return [box]
