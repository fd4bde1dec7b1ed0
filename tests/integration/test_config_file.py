# SPDX-License-Identifier: Apache-2.0
""".jsfs/config.json and .jsfs/status.json: the stream as the server has it, to read and to edit."""

import errno
import json
import os

import pytest

from support import refused, run, shell, wait_until, write_file

MINUTE = 60 * 10**9  # [ns]


@pytest.fixture(params=["kv", "obj"])
def place(request, mnt, kv_bucket, obj_bucket):
    """(stream name, .jsfs of it), once for each kind."""
    if request.param == "kv":
        name = kv_bucket()
        return f"KV_{name}", mnt.kv(name, ".jsfs")
    name = obj_bucket()
    return f"OBJ_{name}", mnt.obj(name, ".jsfs")


def config_of(wire, stream):
    return wire.stream_info(stream)["config"]


def edited(path, **changes):
    """The text of a configuration with other values."""
    return json.dumps({**json.loads(path.read_text()), **changes}, indent=2).encode()


# -- reading ----------------------------------------------------------------------------


def test_the_configuration_is_what_the_server_has(place, wire):
    stream, control = place
    text = (control / "config.json").read_text()
    assert json.loads(text) == config_of(wire, stream)
    assert text.startswith('{\n  "name"') and text.endswith("}\n")


def test_stat_says_the_size_that_is_read(place):
    _, control = place
    for name, mode in (("config.json", 0o100644), ("status.json", 0o100444)):
        state = os.stat(control / name)
        assert state.st_mode == mode
        assert state.st_size > 0
    assert os.stat(control / "config.json").st_size == len((control / "config.json").read_bytes())
    assert run("wc", "-c", control / "config.json").stdout.split()[0] == str(
        os.stat(control / "config.json").st_size)


def test_cp_copies_the_configuration(place, tmp_path):
    _, control = place
    run("cp", control / "config.json", tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == (control / "config.json").read_bytes()


def test_a_change_by_another_client_is_read_at_the_next_open(place, wire):
    stream, control = place
    before = os.stat(control / "config.json").st_mtime_ns
    assert json.loads((control / "config.json").read_text())["max_bytes"] == -1
    config = config_of(wire, stream)
    wire.request(f"$JS.API.STREAM.UPDATE.{stream}",
                 json.dumps({**config, "max_bytes": 99_000_000}).encode())
    assert json.loads((control / "config.json").read_text())["max_bytes"] == 99_000_000
    assert os.stat(control / "config.json").st_mtime_ns > before


# -- editing ----------------------------------------------------------------------------


def test_saving_changes_the_stream(place, wire):
    stream, control = place
    write_file(control / "config.json", edited(control / "config.json", max_bytes=50_000_000,
                                               description="mine"))
    assert config_of(wire, stream)["max_bytes"] == 50_000_000
    assert config_of(wire, stream)["description"] == "mine"
    assert json.loads((control / "config.json").read_text()) == config_of(wire, stream)


def test_fsync_changes_the_stream_before_close(place, wire):
    stream, control = place
    text = edited(control / "config.json", max_bytes=50_000_000)
    descriptor = os.open(control / "config.json", os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, text)
    os.fsync(descriptor)
    assert config_of(wire, stream)["max_bytes"] == 50_000_000
    os.close(descriptor)


def test_fields_that_jsfs_does_not_know_survive(mnt, wire, kv, unique):
    """republish is no field that jsfs reads or writes."""
    name = unique()
    kv.create(name, republish={"src": f"$KV.{name}.>", "dest": f"elsewhere.{name}.>"})
    wait_until(mnt.kv(name).exists, "it is found")
    path = mnt.kv(name, ".jsfs", "config.json")
    kept = config_of(wire, f"KV_{name}")
    write_file(path, edited(path, max_msgs_per_subject=9))
    after = config_of(wire, f"KV_{name}")
    assert after == {**kept, "max_msgs_per_subject": 9} and after["republish"]["dest"]


def test_a_refusal_is_an_error_from_close_and_changes_nothing(place, wire, mnt):
    """The storage of a stream cannot be changed."""
    stream, control = place
    before = (control / "config.json").read_bytes()
    with refused(errno.EINVAL):
        write_file(control / "config.json", edited(control / "config.json", storage="memory"))
    assert (control / "config.json").read_bytes() == before
    assert config_of(wire, stream)["storage"] == "file"
    last = json.loads((control / "status.json").read_text())["last_error"]
    assert last["operation"] == "configure" and "storage" in last["text"], last
    assert last["time"].startswith("20") and last["time"].endswith("Z")
    assert last["text"] in mnt.log()


def test_what_is_no_json_is_einval_and_names_the_line(place, wire, mnt):
    stream, control = place
    before = config_of(wire, stream)
    with refused(errno.EINVAL):
        write_file(control / "config.json", b'{\n  "name": "x",\n  oops\n}\n')
    assert config_of(wire, stream) == before
    assert "line 3" in mnt.log()
    assert "line 3" in json.loads((control / "status.json").read_text())["last_error"]["text"]


@pytest.mark.parametrize("text", [b"[]", b"null", b"7", b'{"name": 1}', b'{"name": "KV_other"}',
                                  b"{}", b'{"a": 1, "a": 2}', b"\xff\xfe", b"{} {}"])
def test_what_is_no_configuration_of_this_stream_is_einval(place, wire, text):
    stream, control = place
    before = config_of(wire, stream)
    with refused(errno.EINVAL):
        write_file(control / "config.json", text)
    assert config_of(wire, stream) == before


def test_truncating_alone_changes_nothing(place, wire):
    stream, control = place
    before = config_of(wire, stream)
    os.truncate(control / "config.json", 0)
    write_file(control / "config.json", b"")
    assert config_of(wire, stream) == before
    assert json.loads((control / "config.json").read_text()) == before


def test_a_shell_group_saves_when_the_last_part_is_written(place, wire, tmp_path):
    """Each child's close hands over what there is; what is not whole yet is refused."""
    stream, control = place
    text = edited(control / "config.json", max_bytes=50_000_000).decode()
    (tmp_path / "half").write_text(text[:40])
    (tmp_path / "rest").write_text(text[40:])
    shell(f"{{ cat {tmp_path}/half; cat {tmp_path}/rest; }} > config.json", control)
    assert config_of(wire, stream)["max_bytes"] == 50_000_000


def test_more_than_a_configuration_can_be_is_efbig(place):
    _, control = place
    descriptor = os.open(control / "config.json", os.O_WRONLY)
    with refused(errno.EFBIG):
        os.pwrite(descriptor, b"x", 2 << 20)
    os.close(descriptor)


def test_the_files_are_not_made_removed_or_renamed(place):
    _, control = place
    with refused(errno.EPERM):
        os.unlink(control / "config.json")
    with refused(errno.EPERM, errno.EACCES):
        write_file(control / "status.json", b"{}")
    with refused(errno.EPERM):
        write_file(control / "other.json", b"{}")


def test_sed_in_place_changes_the_stream(place, wire):
    """It renames a file of its own over it."""
    stream, control = place
    run("sed", "-i", 's/"max_bytes": -1/"max_bytes": 50000000/', control / "config.json")
    assert config_of(wire, stream)["max_bytes"] == 50_000_000
    assert json.loads((control / "config.json").read_text()) == config_of(wire, stream)


def test_what_sed_in_place_makes_wrong_is_refused(place, wire):
    stream, control = place
    before = config_of(wire, stream)
    done = run("sed", "-i", 's/"storage": "file"/"storage": "memory"/', control / "config.json",
               check=False)
    assert done.returncode != 0 and "Invalid argument" in done.stderr
    assert config_of(wire, stream) == before
    assert json.loads((control / "config.json").read_text()) == before


@pytest.mark.parametrize("backup", ["yes", "no", "auto"])
def test_vim_changes_the_stream(place, wire, tmp_path, backup):
    stream, control = place
    run("vim", "-es", "-u", "NONE", "-i", "NONE", "--not-a-term",
        "-c", f"set backupcopy={backup} swapfile directory=. backupdir=. writebackup",
        "-c", '%s/"max_bytes": -1/"max_bytes": 50000000/', "-c", "wq", control / "config.json",
        cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)})
    assert config_of(wire, stream)["max_bytes"] == 50_000_000
    assert json.loads((control / "config.json").read_text()) == config_of(wire, stream)


# -- what follows a change --------------------------------------------------------------


def test_a_shorter_age_hides_what_is_older(mnt, kv, kv_bucket):
    name = kv_bucket()
    kv.put(name, "old", b"value")
    assert mnt.kv(name, "old").read_bytes() == b"value"
    path = mnt.kv(name, ".jsfs", "config.json")
    write_file(path, edited(path, max_age=10**9, duplicate_window=10**9))
    wait_until(lambda: not mnt.kv(name, "old").exists(), "it is too old")
    assert os.listdir(mnt.kv(name)) == []


def test_a_longer_history_is_kept_from_then_on(mnt, kv, kv_bucket):
    name = kv_bucket(history=1)
    path = mnt.kv(name, ".jsfs", "config.json")
    write_file(mnt.kv(name, "key"), b"one")
    write_file(path, edited(path, max_msgs_per_subject=5))
    write_file(mnt.kv(name, "key"), b"two")
    assert [entry.data for entry in kv.history(name, "key")] == [b"one", b"two"]
    assert mnt.kv(name, "key").read_bytes() == b"two"


def test_direct_gets_can_be_switched_off_and_on(mnt, kv, kv_bucket):
    name = kv_bucket()
    path = mnt.kv(name, ".jsfs", "config.json")
    for number, direct in enumerate([False, True]):
        write_file(path, edited(path, allow_direct=direct))
        kv.put(name, f"key{number}", b"value")
        assert wait_until(lambda: mnt.kv(name, f"key{number}").exists(), "it is seen")
        assert mnt.kv(name, f"key{number}").read_bytes() == b"value"


def test_a_smaller_value_limit_counts_at_once(mnt, kv, kv_bucket):
    name = kv_bucket()
    path = mnt.kv(name, ".jsfs", "config.json")
    write_file(path, edited(path, max_msg_size=1000))
    with refused(errno.EFBIG):
        write_file(mnt.kv(name, "key"), bytes(2000))
    assert kv.get(name, "key") is None


# -- status -----------------------------------------------------------------------------


def test_the_status_tells_what_the_server_has(mnt, kv, kv_bucket):
    name = kv_bucket(history=3, max_age=15 * MINUTE, max_bytes=10_000_000, max_msg_size=2000)
    for value in (b"one", b"two"):
        last = kv.put(name, "key", value)
    assert os.listdir(mnt.kv(name)) == ["key"]
    status = json.loads(mnt.kv(name, ".jsfs", "status.json").read_text())
    wanted = {"bucket": name, "stream": f"KV_{name}", "server": "ok", "values": 2, "keys": 1,
              "history": 3, "ttl": 900, "storage": "file", "replicas": 1,
              "limits": {"max_bytes": 10_000_000, "max_value_size": 2000}, "mirror": None,
              "sources": None, "allow_direct": True, "allow_msg_ttl": False, "sealed": False,
              "watch": {"state": "live", "revision": last, "keys": 1}, "last_error": None,
              "conflicts": 0}
    assert {field: status[field] for field in wanted} == wanted
    assert status["bytes"] > 0
    assert {"compression", "allow_atomic", "created", "last_revision"} <= status.keys()


def test_the_status_tells_the_origin_of_a_mirror(mnt, kv, kv_bucket, unique):
    origin, mirror = kv_bucket(), unique()
    kv.mirror(mirror, origin)
    wait_until(lambda: mirror in os.listdir(mnt / "kv"), "it is listed")
    status = json.loads(mnt.kv(mirror, ".jsfs", "status.json").read_text())
    assert status["mirror"]["name"] == f"KV_{origin}"


def test_the_status_is_there_while_the_server_is_away(mount, own_server):
    mnt = mount(server=own_server, config="[connection]\ntimeout = 1s\n")
    mnt.kv("bucket").mkdir()
    write_file(mnt.kv("bucket", "key"), b"value")
    control = mnt.kv("bucket", ".jsfs")
    assert json.loads((control / "status.json").read_text())["watch"]["state"] == "live"
    own_server.stop()
    status = wait_until(lambda: _away(control), "the loss is noticed")
    assert status["values"] is None and status["watch"]["keys"] == 1
    with refused(errno.EHOSTDOWN, errno.ETIMEDOUT):
        (control / "config.json").read_bytes()
    own_server.start()
    wait_until(lambda: json.loads((control / "status.json").read_text())["server"] == "ok",
               "the server answers again")


def _away(control):
    status = json.loads((control / "status.json").read_text())
    return status if status["server"] != "ok" and status["watch"]["state"] != "live" else None


def test_a_failed_write_is_the_last_error(mnt, kv_bucket):
    name = kv_bucket(max_bytes=1)
    with refused(errno.ENOSPC):
        write_file(mnt.kv(name, "key"), b"value")
    last = json.loads(mnt.kv(name, ".jsfs", "status.json").read_text())["last_error"]
    assert last["operation"] == "flush" and "no space" in last["text"] and "key" in last["text"]


def test_the_status_counts_the_edits_that_lost(mnt, kv, kv_bucket):
    name = kv_bucket()
    for key in ("key", "dir/key"):
        kv.put(name, key, b"old")
        wait_until(mnt.kv(name, key).exists, "it is seen")
        file = open(mnt.kv(name, key), "r+b", buffering=0)
        kv.put(name, key, b"theirs")
        file.write(b"mine")
        with refused(errno.ESTALE):
            file.close()
    assert json.loads(mnt.kv(name, ".jsfs", "status.json").read_text())["conflicts"] == 2
