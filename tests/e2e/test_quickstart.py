"""docs/quickstart.md, typed as it stands on three machines and one more; and how users come back,
by docs/operations.md.

Machines are network namespaces with the addresses of the page; all of it is in a mount namespace of
its own, where /etc, /opt, /var/lib and /usr/local/bin are scratch.  sudo, scp and systemctl are
scripts, since a namespace has none.  The unit's command is run as its user, without capabilities.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.network import why_not
from tests.support.pages import ROOT, blocks

PLAYED = {
    "sudo": """
        if [ "$1" = -u ]; then
            user=$2; shift 2
            exec setpriv --reuid $user --regid $user --clear-groups "$@"
        fi
        exec "$@"
    """,
    "scp": """
        mkdir -p $DRILL/home/${3%%:*} && cp -rp "$2" $DRILL/home/${3%%:*}/
    """,
    "systemctl": """
        for last; do :; done
        id=${last#*@}
        case $1 in
        enable)
            unit=/etc/systemd/system/distrodb@.service
            call=$(sed -n 's/^ExecStart=//p' $unit | sed "s/%i/$id/g")
            install -d -o distrodb -g distrodb -m 0700 /var/lib/distrodb /var/lib/distrodb/$id
            setpriv --reuid distrodb --regid distrodb --clear-groups --no-new-privs \\
                --bounding-set=-all $call >> $DRILL/$id.log 2>&1 < /dev/null & ;;
        kill) kill -KILL $(pgrep -f "distrodb slave /etc/distrodb/$id/") ;;
        esac
    """,
}
WORLD = """
    set -e
    mount --make-rprivate /
    mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns
    for place in etc var/lib; do
        mkdir -p $DRILL/disk/$place
        test $place = var/lib || cp -a /$place/. $DRILL/disk/$place/
        mount --bind $DRILL/disk/$place /$place
    done
    mount -t tmpfs tmpfs /opt && mount -t tmpfs tmpfs /usr/local/bin
    mkdir -p /etc/systemd/system
    export PATH=$DRILL/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
    ip netns add switch && ip -n switch link add br0 type bridge && ip -n switch link set br0 up
    for n in 1 2 3 100; do
        ip netns add m$n
        ip -n switch link add p$n type veth peer name eth0 netns m$n
        ip -n switch link set p$n master br0 up
        ip -n m$n address add 10.98.0.$n/24 dev eth0
        ip -n m$n link set eth0 up && ip -n m$n link set lo up
    done
    on() { machine=$1; shift; ip netns exec m$machine bash -ex $DRILL/$1.sh; }
    cd $DRILL/checkout && bash -ex $DRILL/1.sh  # pip needs the network that is there
    mkdir $DRILL/desk && cd $DRILL/desk && on 100 2
    for n in 1 2 3; do cd $DRILL/home/10.98.0.$n && on $n 3.$n; done
    for n in 1 2 3; do cd $DRILL/home/10.98.0.$n && on $n ready.$n; done
    cd $DRILL/desk && on 100 4
"""


# Users are lost, and docs/operations.md brings them back.
USERS = """
    redis-cli --tls --cacert $DISTRODB_CA -h 10.98.0.3 -p 17551 ACL LIST > acl.txt
    redis-cli --tls --cacert $DISTRODB_CA -h 10.98.0.3 -p 17551 ACL DELUSER app
{}
    redis-cli --tls --cacert $DISTRODB_CA -h 10.98.0.1 -p 15551 ACL LIST | diff - acl.txt
    echo users are back
"""


def block(page: str, number: int) -> str:
    (part,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", page, re.M | re.S)
    return "".join(f"{line}\n" for line in re.findall(r"^    (.*)$", part, re.M))


def why_none() -> str | None:
    tools = ("setpriv", "unshare", "redis-cli", "curl", "git")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return why_not() or (f"there is no {missing[0]}" if missing else None)


@pytest.mark.soak
@pytest.mark.skipif(why_none() is not None, reason=str(why_none()))
def test_it_is_as_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "quickstart.md").read_text()
    os.chmod(tmp_path, 0o755)
    for parent in (tmp_path.parent, tmp_path.parent.parent):
        os.chmod(parent, 0o755)  # who runs a slave is not root, and its log is here
    (tmp_path / "bin").mkdir()
    for name, text in PLAYED.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "checkout").mkdir()
    packed = subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "x"], cwd=tmp_path / "checkout", input=packed.stdout, check=True)
    operations = blocks(ROOT / "docs" / "operations.md")
    users = USERS.format(*(each.text for each in operations if "acl.txt" in each.text))
    started = block(page, 3).splitlines()
    asks = [line for line in started if "distrodb ready" in line]
    assert len(asks) == 1 and "node1" in asks[0]
    scripts = {
        "1": block(page, 1),
        "2": block(page, 2),
        "4": block(page, 4) + users + block(page, 5),
    }
    for n in "123":
        lines = [line.replace("node1", f"node{n}") for line in started]
        until_born = started.index(asks[0])
        scripts[f"3.{n}"] = "\n".join(lines[:until_born])
        scripts[f"ready.{n}"] = "\n".join(lines[until_born:])
    # The doctor is right to find fault with a slave that was just killed.
    scripts["4"] = scripts["4"].replace("distrodb doctor", "! distrodb doctor")
    for name, text in scripts.items():
        (tmp_path / f"{name}.sh").write_text(text)
    (tmp_path / "world.sh").write_text(WORLD)
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        + ["bash", str(tmp_path / "world.sh")],
        env={**os.environ, "DRILL": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = done.stdout
    assert all(f"node{n} is ready\n" in said for n in "123")
    assert said.splitlines().count("hello") == 2 and "distrodb_info{" in said
    assert "users are back\n" in said
    assert "ring node1 node2 node3" in said and "does not hear node2" in said
