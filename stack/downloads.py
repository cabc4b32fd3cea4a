"""What the native stack is made of, fetched from the ordinary package registries into the cache folder.

Each function returns the folder (or file) that it provides, fetches it only when it is not there, and leaves
nothing half-done: everything is filled beside its place and renamed.
"""

import fcntl
import hashlib
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.errors import StackError
from stack.settings import Stack
from stack.shell import run, staged_folder

CONVERTER_CLASSES = ("io.apicurio.registry.utils.converter.AvroConverter", "chista.KeepNulls")
KEEP_NULLS = "airflow_provider_chista/debezium/converter/KeepNulls.java"
_CONVERTER_SERVICE = "org.apache.kafka.connect.storage.Converter"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, so that two stacks that share the cache fetch a thing once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kafka(stack: Stack) -> Path:
    """The jars of Kafka and Kafka Connect."""
    return _maven(stack, f"kafka-{stack.versions['KAFKA_VERSION']}", "copy-dependencies@kafka")


def connect_basic_auth(stack: Stack) -> Path:
    """Connect's extension for basic authentication; the stack's own worker does without, tests start one that has it."""
    return _maven(stack, f"connect-basic-auth-{stack.versions['KAFKA_VERSION']}", "copy@basic-auth")


def debezium(stack: Stack) -> Path:
    """Connect's plugin path with the three Debezium connectors."""
    return _maven(stack, f"debezium-{stack.versions['DEBEZIUM_VERSION']}", "unpack@debezium")


def zookeeper(stack: Stack) -> Path:
    """The jars of ZooKeeper that Kafka's do not have; in a class path with those they are a server. Only tests ask for it."""
    return _maven(stack, f"zookeeper-{stack.versions['ZOOKEEPER_VERSION']}", "copy@zookeeper")


def registry(stack: Stack) -> Path:
    """Apicurio's schema registry."""
    return _maven(stack, f"apicurio-registry-{stack.versions['APICURIO_VERSION']}", "unpack@registry")


def converter_path(stack: Stack) -> Path:
    """Where :func:`converter` puts Connect's plugin path with Apicurio's converter."""
    own = hashlib.sha256((stack.root / KEEP_NULLS).read_bytes()).hexdigest()[:8]
    return stack.cache / f"apicurio-converter-{stack.versions['APICURIO_VERSION']}-{own}"


def converter(stack: Stack) -> Path:
    """Connect's plugin path with Apicurio's converter, and with the provider's own that keeps NULL."""

    def add_own(folder: Path) -> None:
        classes = folder / "classes"
        run(
            ["javac", "-d", classes, "-cp", f"{folder}/*", stack.root / KEEP_NULLS],
            hint="The compiler comes with a JDK: python -m stack check",
        )
        # Apicurio's jar has no list of its plugins, by which Connect finds them without a look at every class.
        with zipfile.ZipFile(folder / "chista.jar", "w") as jar:
            for file in classes.rglob("*.class"):
                jar.write(file, file.relative_to(classes))
            jar.writestr(f"META-INF/services/{_CONVERTER_SERVICE}", "\n".join(CONVERTER_CLASSES))
        shutil.rmtree(classes)

    name = converter_path(stack).name
    return _maven(
        stack, name, "copy-dependencies@converter", pom="converter.xml", into="converter", then=add_own
    )


def _maven(
    stack: Stack,
    name: str,
    goal: str,
    pom: str = "pom.xml",
    into: str = "",
    then: Callable[[Path], None] = lambda folder: None,
) -> Path:
    target = stack.cache / name
    # One lock for all goals: Maven's local repository is not made for two at once.
    with locked(stack.cache / ".maven.lock"):
        if target.is_dir():
            return target
        with staged_folder(target) as folder:
            properties = {
                **maven_properties(stack.versions),
                "maven.repo.local": stack.cache / "maven",
                "chista.output": folder / into,
            }
            defined = [f"-D{name}={value}" for name, value in properties.items()]
            run(
                ["mvn", "-B", "-q", "-f", stack.root / "stack/maven" / pom, *defined, f"dependency:{goal}"],
                hint="Maven could not fetch the jars named in stack/versions.env; is its registry reachable?",
            )
            shutil.rmtree(folder.with_name(f"{folder.name}.markers"), ignore_errors=True)
            then(folder / into)
    return target


def maven_properties(versions: dict[str, str]) -> dict[str, str]:
    """The properties of ``stack/maven/pom.xml``."""
    return {
        "kafka.version": versions["KAFKA_VERSION"],
        "kafka.scala": versions["KAFKA_SCALA"],
        "log4j.version": versions["LOG4J_VERSION"],
        "debezium.version": versions["DEBEZIUM_VERSION"],
        "apicurio.version": versions["APICURIO_VERSION"],
        "zookeeper.version": versions["ZOOKEEPER_VERSION"],
        "metrics.version": versions["METRICS_VERSION"],
        "maven.dependency.plugin.version": versions["MAVEN_DEPENDENCY_PLUGIN_VERSION"],
    }


def clickhouse_library(stack: Stack) -> Path:
    """ClickHouse as ``libchdb.so``, out of its npm package."""
    package = f"@chdb/lib-linux-x64-gnu@{stack.versions['CHDB_VERSION']}"
    target = stack.cache / f"chdb-{stack.versions['CHDB_VERSION']}"
    with locked(stack.cache / ".chdb.lock"):
        if not target.is_dir():
            with staged_folder(target) as folder:
                npm = folder / "npm"
                npm.mkdir()
                run(
                    [
                        "npm",
                        "install",
                        "--prefix",
                        npm,
                        "--cache",
                        npm / "cache",
                        "--no-save",
                        "--no-audit",
                        "--no-fund",
                        "--ignore-scripts",
                        package,
                    ],
                    hint=f"npm could not fetch {package}; is its registry reachable?",
                )
                library = next(npm.rglob("libchdb.so"), None)
                if library is None:
                    raise StackError(f"npm package {package} holds no libchdb.so")
                library.rename(folder / "libchdb.so")
                shutil.rmtree(npm)
    return target / "libchdb.so"


def mysql(stack: Stack) -> Path:
    """The unpacked Debian packages of MySQL with every library they need, libc included."""
    series = stack.versions["MYSQL_SERIES"]
    packages, target = stack.cache / f"mysql-{series}-packages", stack.cache / f"mysql-{series}"
    with locked(stack.cache / ".mysql.lock"):
        if not packages.is_dir():
            with staged_folder(packages) as folder:
                _fetch_mysql_packages(stack, folder)
        if not target.is_dir():
            with staged_folder(target) as folder:
                for package in sorted(packages.glob("*.deb")):
                    run(["dpkg-deb", "-x", package, folder])
    return target


def mysql_version(stack: Stack) -> str:
    """The version of the MySQL packages in the cache, as Debian numbers it; empty when there are none."""
    packages = (stack.cache / f"mysql-{stack.versions['MYSQL_SERIES']}-packages").glob(
        "mysql-server-core_*.deb"
    )
    return next((package.name.split("_")[1] for package in packages), "")


def _fetch_mysql_packages(stack: Stack, folder: Path) -> None:
    """Download with an apt that has its own state folder and thinks that nothing is installed: libc comes too."""
    suite = stack.versions["MYSQL_DEBIAN_SUITE"]
    mirror = debian_mirror(stack)
    apt = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (apt / "sources.list").write_text(f"deb {signed}{mirror} {suite} main\n")
    # Signatures are checked as ever; that they are of this week is not asked, since a mirror's snapshot is as good.
    (apt / "apt.conf").write_text(
        f'Dir::State "{apt}"; Dir::State::lists "{apt}/lists"; Dir::State::status "{apt}/status"; Dir::Cache "{apt}/cache";\n'
        f'Dir::Etc::sourcelist "{apt}/sources.list"; Dir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::preferencesparts "/dev/null";\n'
        'APT::Install-Recommends "false"; APT::Sandbox::User ""; Acquire::Languages "none";\n'
        'Acquire::Retries "3"; Acquire::Check-Valid-Until "false";\n'
    )
    environment = {"APT_CONFIG": str(apt / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    hint = f"MySQL's packages come from Debian {suite} at {mirror} (DEBIAN_MIRROR names another mirror)."
    run(["apt-get", "update", "-qq"], env=environment, hint=hint)
    run(
        ["apt-get", "install", "-y", "-qq", "--download-only", "mysql-server-core", "mysql-client-core"],
        env=environment,
        hint=hint,
    )
    for package in (apt / "cache" / "archives").glob("*.deb"):
        package.rename(folder / package.name)
    shutil.rmtree(apt)


def debian_mirror(stack: Stack) -> str:
    """The Debian mirror to fetch MySQL from: ``DEBIAN_MIRROR``, or the one that this machine's apt already uses.

    :raises StackError: when neither is there (Ubuntu's mirrors carry no Debian suite).
    """
    if stack.mirror:
        return stack.mirror
    # Origin and label are known once apt has fetched the lists; on Debian itself the addresses say enough before that.
    for line in _apt_targets("$(ORIGIN)|$(LABEL)|$(REPO_URI)"):
        if line.startswith("Debian|Debian|"):
            return line.split("|")[2].rstrip("/")
    if "ID=debian" in Path("/etc/os-release").read_text().replace('"', "").splitlines():
        for uri in _apt_targets("$(REPO_URI)", "--no-release-info"):
            if "security" not in uri:
                return uri.rstrip("/")
    raise StackError("this machine's apt knows no Debian mirror, from which MySQL comes")


def _apt_targets(form: str, *options: str) -> list[str]:
    return run(["apt-get", "indextargets", *options, "--format", form, "Created-By: Packages"]).split()


def tools(stack: Stack) -> Path:
    """The launcher's own tools, uv and supervisor, in a small environment of their own.

    They are not in the environment of Airflow, since supervisord must run before that exists and go on while it is rebuilt.
    """
    pins = [f"uv=={stack.versions['UV_VERSION']}", f"supervisor=={stack.versions['SUPERVISOR_VERSION']}"]
    stamp = stack.tools / "complete"
    wanted = "\n".join([sys.version, str(stack.tools), *pins])
    with locked(stack.cache / ".tools.lock"):
        if stamp.is_file() and stamp.read_text() == wanted and (stack.tools / "bin" / "python").exists():
            return stack.tools
        # An environment cannot be moved into place (its scripts know their path): the stamp says that it is complete.
        shutil.rmtree(stack.tools, ignore_errors=True)
        run(
            [sys.executable, "-m", "venv", stack.tools],
            hint="On Debian and Ubuntu: apt-get install python3-venv",
        )
        run(
            [stack.tools / "bin" / "python", "-m", "pip", "install", "-q", *pins],
            hint="pip could not fetch uv and supervisor.",
        )
        stamp.write_text(wanted)
    return stack.tools
