"""Typical operations of the Python client `lightkube`."""

from lightkube import Client, codecs
from lightkube.core.exceptions import ApiError
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Namespace, Node, Pod, Service, ServiceAccount
from lightkube.types import PatchType

from report import DEPLOYMENT, Report, must

client = Client(namespace="default", field_manager="me")


def waited() -> None:
    client.wait(Deployment, "web", for_conditions=["Available"])


def scaled() -> None:
    client.replace(Deployment.Scale(metadata=ObjectMeta(name="web", namespace="default"), spec=ScaleSpec(replicas=2)))
    must(client.get(Deployment, "web").spec.replicas == 2, "two replicas wanted")


def conflict() -> None:
    try:
        client.create(ConfigMap(metadata=ObjectMeta(name="settings")))
    except ApiError as failure:
        must(failure.status.code == 409, failure)
        return
    must(False, "a conflict")


def watched() -> None:
    for _, each in client.watch(ConfigMap, server_timeout=5):
        if each.metadata.name == "settings":
            return
    must(False, "an event of the ConfigMap")


def logged() -> None:
    for _ in client.log(next(iter(client.list(Pod, labels={"app": "web"}))).metadata.name):
        pass


def applied() -> None:
    client.apply(ConfigMap(metadata=ObjectMeta(name="applied"), data={"a": "b"}))
    must(client.get(ConfigMap, "applied").metadata.managedFields, "managedFields")


report = Report()
report.attempt("create", lambda: client.create(codecs.from_dict(DEPLOYMENT)))
report.attempt("wait for a condition", waited)
report.attempt("get", lambda: client.get(Deployment, "web"))
report.attempt("list", lambda: must(list(client.list(Deployment, namespace="*")), "a Deployment"))
report.attempt("list by labels", lambda: must(list(client.list(Pod, labels={"app": "web"})), "a Pod"))
report.attempt("list by fields", lambda: must(list(client.list(Pod, fields={"status.phase": "Running"})), "a Pod"))
report.attempt("list nodes", lambda: must(list(client.list(Node)), "a node"))
report.attempt("list events", lambda: must(list(client.list(Event)), "an event"))
report.attempt("replace the scale", scaled)
report.attempt("patch, strategic", lambda: client.patch(Deployment, "web", {"metadata": {"labels": {"a": "b"}}}))
report.attempt("patch, merge", lambda: client.patch(
    Deployment, "web", {"metadata": {"labels": {"a": "c"}}}, patch_type=PatchType.MERGE))
report.attempt("patch, JSON", lambda: client.patch(
    Deployment, "web", [{"op": "replace", "path": "/spec/replicas", "value": 1}], patch_type=PatchType.JSON))
report.attempt("create a ConfigMap", lambda: client.create(ConfigMap(metadata=ObjectMeta(name="settings"), data={"a": "b"})))
report.attempt("a second create is a conflict", conflict)
report.attempt("watch", watched)
report.attempt("log", logged)
report.attempt("apply on the server", applied)
report.attempt("create a Service", lambda: client.create(codecs.from_dict({
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})))
report.attempt("replace a Service", lambda: client.replace(client.get(Service, "web")))
report.attempt("create a ServiceAccount", lambda: client.create(ServiceAccount(metadata=ObjectMeta(name="builder"))))
report.attempt("create a namespace", lambda: client.create(Namespace(metadata=ObjectMeta(name="team"))))
report.attempt("delete a namespace", lambda: client.delete(Namespace, "team"))
report.attempt("delete a collection", lambda: client.deletecollection(ConfigMap))
report.attempt("delete", lambda: client.delete(Deployment, "web"))
report.print()
