"""Environment of the app's process."""

from client.privacy.kernels import KERNELS
from client.runtime.app_link import environment


def test_only_listed_variables_are_passed_on() -> None:
    passed = {"PATH": "/bin", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **KERNELS}
    held_back = {
        "HTTPS_PROXY": "http://me:word@proxy",
        "https_proxy": "p",
        "TOKEN": "t",
        "SSH_AUTH_SOCK": "s",
    }
    assert environment(passed | held_back) == passed
