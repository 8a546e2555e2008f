"""The Helm chart, rendered by Helm's own engine and held against the schemas of Kubernetes."""

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from typer.main import get_group

from cli.whole_command import app
from flower_engine.runtime.settings import Settings, variable
from flower_engine.secret_files import FILE_VARIABLES, SECRET_SETTINGS, file_variable

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "flower"
PYTHON = ROOT / ".venv-chart" / "bin" / "python"
TOKEN = {"token": {"name": "flower", "key": "token"}}
EVERYTHING: dict[str, Any] = {
    "image": {"repository": "example.org/flower", "tag": "7"},
    "imagePullSecrets": [{"name": "pull"}],
    "secrets": {
        **TOKEN,
        "databaseDirectUrl": {"name": "direct", "key": "url"},
        "databaseReadUrl": {"name": "replica", "key": "url"},
        "linkSecret": {"name": "links", "key": "secret"},
        "tracesHeaders": {"name": "traces", "key": "headers"},
    },
    "settings": {"FLOWER_PARTITIONS": "4", "FLOWER_LOG_FORMAT": "json"},
    "api": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"a.b/c": "d"},
            "host": "flower.example.org",
            "tlsSecret": "tls",
        },
        "service": {"type": "LoadBalancer", "port": 80, "annotations": {"a.b/c": "d"}},
        "pod": {"labels": {"team": "dwh"}, "annotations": {"a.b/c": "d"}},
    },
    "projector": {"settings": {"FLOWER_TRACES_ENDPOINT": "http://otel:4318"}},
    "workers": {
        "reports": {
            "image": {"repository": "example.org/reports"},
            "queues": ["reports=3", "a b/c=0.5"],
            "programs": ["reports.programs", "reports.more"],
            "concurrency": 8,
            "graceSeconds": 300,
            "keda": {"enabled": True, "maxReplicas": 40, "minReplicas": 0},
            "pod": {
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "k", "operator": "Exists"}],
                "priorityClassName": "low",
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "zone",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {},
                    }
                ],
            },
        },
        "heavy": {"processes": 2, "replicas": 0},
    },
    "disruption": {"maxUnavailable": "25%"},
    "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
    "pod": {"affinity": {"nodeAffinity": {}}},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"replica": 1}, "replica"),
    "count": ({"api": {"replicas": "two"}}, "replicas"),
    "secret": ({"settings": {"FLOWER_DATABASE_URL": "postgresql://x"}}, "FLOWER_DATABASE_URL"),
    "no secret": ({"secrets": {"redisUrl": {"name": "", "key": "k"}}}, "redisUrl"),
    "concurrency": ({"workers": {"default": {"concurrency": 0}}}, "concurrency"),
    "pool": ({"workers": {"Default_1": {}}}, "Default_1"),
    "host": ({"api": {"ingress": {"enabled": True}}}, "host"),
    "keda without a token": ({"workers": {"default": {"keda": {"enabled": True}}}}, "secrets.token"),
}
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "nothing more": {
        "workers": {"default": None},
        "migration": {"enabled": False},
        "disruption": {"enabled": False},
        "networkPolicy": {"enabled": False},
    },
    **{name: values for name, (values, _) in REFUSED.items()},
}


class Rendered(NamedTuple):
    """``manifests`` by kind and name."""

    error: str
    manifests: dict[tuple[str, str], dict[str, Any]]
    problems: list[str]
    notes: str


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    if not PYTHON.exists():
        pytest.skip("what renders the chart is not installed: make test-deployment does so")
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name("render_chart.py")],
        input=json.dumps(CASES),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cases(told: dict[str, Any]) -> dict[str, Rendered]:
    return {
        name: Rendered(
            one["error"],
            {(made["kind"], made["metadata"]["name"]): made for made in one["manifests"]},
            one["problems"],
            one["notes"],
        )
        for name, one in told["cases"].items()
    }


def pods(rendered: Rendered) -> dict[str, dict[str, Any]]:
    """The pods by the name of what makes them."""
    return {
        name.removeprefix("prod-flower-"): made["spec"]["template"]["spec"]
        for (kind, name), made in rendered.manifests.items()
        if kind in ("Deployment", "Job")
    }


def environment(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def test_helm_finds_nothing_to_complain_of(told: dict[str, Any]) -> None:
    assert told["lint"]["errors"] == []
    assert [one for one in told["lint"]["messages"] if "icon is recommended" not in one["error"]] == []


@pytest.mark.parametrize("name", ["defaults", "everything", "nothing more"])
def test_kubernetes_would_take_all_of_it(name: str, cases: dict[str, Rendered]) -> None:
    assert (cases[name].error, cases[name].problems) == ("", [])


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_cannot_be_are_refused_with_their_name(name: str, cases: dict[str, Rendered]) -> None:
    assert REFUSED[name][1] in cases[name].error


def test_there_is_a_deployment_of_each_service_and_pool_and_what_goes_with_it(
    cases: dict[str, Rendered],
) -> None:
    services = {"api", "projector", "watcher", "worker-default"}
    assert set(cases["defaults"].manifests) == {
        *(("Deployment", f"prod-flower-{name}") for name in services),
        *(("PodDisruptionBudget", f"prod-flower-{name}") for name in services),
        *(("NetworkPolicy", f"prod-flower-{name}") for name in ("api", "services")),
        ("Service", "prod-flower-api"),
        ("Job", "prod-flower-migration"),
    }
    assert {kind for kind, _ in cases["nothing more"].manifests} == {"Deployment", "Service"}
    more = set(cases["everything"].manifests) - set(cases["defaults"].manifests)
    assert {
        ("Deployment", "prod-flower-worker-reports"),
        ("ScaledObject", "prod-flower-worker-reports"),
        ("TriggerAuthentication", "prod-flower-scaling"),
        ("Ingress", "prod-flower-api"),
    } <= more
    assert len(pods(cases["nothing more"])) == 3, "no pool"
    assert "heavy reports" in cases["everything"].notes


@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_pods_may_do_no_more_than_they_must(name: str, cases: dict[str, Rendered]) -> None:
    for pod in pods(cases[name]).values():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        user = str(pod["securityContext"]["runAsUser"])
        assert f"USER {user}:{user}" in (ROOT / "Dockerfile").read_text()
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        mounts = {one["mountPath"]: one.get("readOnly", False) for one in container["volumeMounts"]}
        assert mounts == {"/tmp": False, "/run/flower": True}


@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_containers_run_commands_with_settings_that_there_are(name: str, cases: dict[str, Rendered]) -> None:
    known = {*map(variable, Settings.model_fields), *FILE_VARIABLES}
    for pod in pods(cases[name]).values():
        (container,) = pod["containers"]
        assert container["args"][0] in get_group(app).commands
        assert set(environment(pod)) <= known
        assert not set(environment(pod)) & set(map(variable, SECRET_SETTINGS)), "secrets come as files"
        mounted = [
            (item["path"], source["secret"]["name"])
            for volume in pod["volumes"]
            if volume["name"] == "secrets"
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        ]
        files = {f"/run/flower/{path}" for path, _ in mounted}
        assert files == {text for key, text in environment(pod).items() if key in FILE_VARIABLES}


def test_each_service_gets_the_secrets_that_it_needs_and_no_other(cases: dict[str, Rendered]) -> None:
    stores = {"redis_url", "database_url", "database_direct_url"}
    wanted = {
        "api": stores | {"database_read_url", "api_tokens", "link_secret"},
        "projector": stores | {"traces_headers"},
        "watcher": stores,
        "migration": {"database_url"},
        "worker-default": {"redis_url", "token"},
        "worker-reports": {"redis_url", "token"},
        "worker-heavy": {"redis_url", "token"},
    }
    found = {
        name: {field for field in SECRET_SETTINGS if file_variable(field) in environment(pod)}
        for name, pod in pods(cases["everything"]).items()
    }
    assert found == wanted


@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_every_service_has_the_probes_that_it_answers(name: str, cases: dict[str, Rendered]) -> None:
    for service, pod in pods(cases[name]).items():
        (container,) = pod["containers"]
        if service == "migration":
            continue
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        own = environment(pod)
        assert str(ports["metrics"]) == own["FLOWER_METRICS_PORT"]
        port = "http" if service == "api" else "metrics"
        if service == "api":
            assert str(ports["http"]) == own["FLOWER_PORT"]
        paths = {
            probe: (container[probe]["httpGet"]["path"], container[probe]["httpGet"]["port"])
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert paths == {
            "startupProbe": ("/healthz", port),
            "livenessProbe": ("/healthz", port),
            "readinessProbe": ("/readyz", port),
        }


def test_a_pool_is_given_what_it_serves_and_time_to_end(cases: dict[str, Rendered]) -> None:
    found = pods(cases["everything"])
    reports = found["worker-reports"]
    own = environment(reports)
    assert own["FLOWER_QUEUES"] == "reports=3,a b/c=0.5"
    assert own["FLOWER_PROGRAMS"] == "reports.programs,reports.more"
    assert (own["FLOWER_CONCURRENCY"], own["FLOWER_GRACE_SECONDS"]) == ("8", "300")
    assert own["FLOWER_PARTITIONS"] == "4", "of all services"
    assert reports["terminationGracePeriodSeconds"] >= 300 + 20, "what a worker takes beyond its grace time"
    assert reports["containers"][0]["image"] == "example.org/reports:7"
    assert environment(found["worker-heavy"])["FLOWER_PROCESSES"] == "2"
    assert environment(found["worker-default"])["FLOWER_CONCURRENCY"] == "100"
    heavy = cases["everything"].manifests["Deployment", "prod-flower-worker-heavy"]
    assert heavy["spec"]["replicas"] == 0


def test_keda_asks_for_each_queue_and_sets_the_replicas(cases: dict[str, Rendered]) -> None:
    made = cases["everything"].manifests
    scaled = made["ScaledObject", "prod-flower-worker-reports"]["spec"]
    assert "replicas" not in made["Deployment", "prod-flower-worker-reports"]["spec"], "KEDA sets them"
    assert scaled["scaleTargetRef"] == {"name": "prod-flower-worker-reports"}
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 40)
    assert [one["metadata"]["url"] for one in scaled["triggers"]] == [
        "http://prod-flower-api.work:80/scaling/reports",
        "http://prod-flower-api.work:80/scaling/a%20b%2Fc",
    ]
    for one in scaled["triggers"]:
        assert one["type"] == "metrics-api"
        assert one["authenticationRef"] == {"name": "prod-flower-scaling"}
        assert (one["metadata"]["valueLocation"], one["metadata"]["targetValue"]) == ("desired", "8")
    (token,) = made["TriggerAuthentication", "prod-flower-scaling"]["spec"]["secretTargetRef"]
    assert token == {"parameter": "token", "name": "flower", "key": "token"}


def test_selectors_choose_the_pods_of_one_deployment_and_never_change(cases: dict[str, Rendered]) -> None:
    made = cases["everything"].manifests
    chosen: list[frozenset[tuple[str, str]]] = []
    for (kind, _), one in made.items():
        if kind == "Deployment":
            labels, selector = (
                one["spec"]["template"]["metadata"]["labels"],
                one["spec"]["selector"]["matchLabels"],
            )
            assert selector.items() <= labels.items()
            assert "app.kubernetes.io/version" not in selector
            chosen.append(frozenset(selector.items()))
    assert len(set(chosen)) == len(chosen) == 6
    for kind in ("PodDisruptionBudget", "Service"):
        for (found, _), one in made.items():
            if found == kind:
                selector = one["spec"]["selector"]
                assert frozenset(selector.get("matchLabels", selector).items()) in chosen


def test_the_tables_are_brought_up_to_date_before_anything_else(cases: dict[str, Rendered]) -> None:
    annotations = cases["defaults"].manifests["Job", "prod-flower-migration"]["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert pods(cases["defaults"])["migration"]["containers"][0]["args"] == ["migrate"]


def test_the_readme_and_the_defaults_name_the_same_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    readme = (CHART / "README.md").read_text()
    assert [name for name in values if f"`{name}`" not in readme and f"`{name}." not in readme] == []
