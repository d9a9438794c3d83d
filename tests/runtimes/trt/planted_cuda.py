"""Functions in the place of the CUDA driver's library, by the same names: what is asked of it and in which order."""

from typing import Any


class PlantedCuda:
    """codes: function -> the error that it returns. calls: what was called."""

    def __init__(self, *, name: str = "NVIDIA Jetson AGX Orin", capability: tuple[int, int] = (8, 7)) -> None:
        self.name, self.capability = name, capability
        self.codes: dict[str, int] = {}
        self.calls: list[str] = []
        self.free = 4 << 30

    def _done(self, function: str) -> int:
        self.calls.append(function)
        return self.codes.get(function, 0)

    def cuInit(self, flags: Any) -> int:  # noqa: N802  # CUDA's names
        return self._done("cuInit")

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802  # CUDA's names
        version._obj.value = 12060
        return self._done("cuDriverGetVersion")

    def cuDeviceGet(self, device: Any, ordinal: Any) -> int:  # noqa: N802  # CUDA's names
        device._obj.value = ordinal.value
        return self._done("cuDeviceGet")

    def cuDeviceGetName(self, name: Any, length: Any, device: Any) -> int:  # noqa: N802  # CUDA's names
        name.value = self.name.encode()[: length.value - 1]
        return self._done("cuDeviceGetName")

    def cuDeviceTotalMem_v2(self, total: Any, device: Any) -> int:  # noqa: N802  # CUDA's names
        total._obj.value = 64 << 30
        return self._done("cuDeviceTotalMem_v2")

    def cuDeviceGetAttribute(self, value: Any, attribute: Any, device: Any) -> int:  # noqa: N802  # CUDA's names
        value._obj.value = dict(zip((75, 76), self.capability, strict=True))[attribute.value]
        return self._done("cuDeviceGetAttribute")

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:  # noqa: N802  # CUDA's names
        free._obj.value, total._obj.value = self.free, 64 << 30
        return self._done("cuMemGetInfo_v2")

    def cuStreamBeginCapture_v2(self, stream: Any, mode: Any) -> int:  # noqa: N802  # CUDA's names
        assert (stream.value, mode.value) == (7, 1)
        return self._done("cuStreamBeginCapture_v2")

    def cuStreamEndCapture(self, stream: Any, graph: Any) -> int:  # noqa: N802  # CUDA's names
        graph._obj.value = 11
        return self._done("cuStreamEndCapture")

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> int:  # noqa: N802  # CUDA's names
        assert graph.value == 11
        executable._obj.value = 12
        return self._done("cuGraphInstantiateWithFlags")

    def cuGraphDestroy(self, graph: Any) -> int:  # noqa: N802  # CUDA's names
        assert graph.value == 11
        return self._done("cuGraphDestroy")

    def cuGraphLaunch(self, executable: Any, stream: Any) -> int:  # noqa: N802  # CUDA's names
        assert (executable.value, stream.value) == (12, 7)
        return self._done("cuGraphLaunch")

    def cuGraphExecDestroy(self, executable: Any) -> int:  # noqa: N802  # CUDA's names
        assert executable.value == 12
        return self._done("cuGraphExecDestroy")
