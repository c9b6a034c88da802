package main

import (
	"fmt"
	"io"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	failure "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	applyapps "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"
)

func deployment() {
	shops, pods := client.AppsV1().Deployments("default"), client.CoreV1().Pods("default")
	attempt("create a Deployment", func() error {
		_, err := shops.Create(ctx, web(1), create)
		return err
	})
	attempt("wait for it with a watch", func() error {
		lw := cache.NewListWatchFromClient(client.AppsV1().RESTClient(), "deployments", "default", fields.Everything())
		_, err := watchtools.UntilWithSync(ctx, lw, &apps.Deployment{}, nil, func(event watch.Event) (bool, error) {
			return isReady(event.Object), nil
		})
		return err
	})
	attempt("read its Pods' status", func() error {
		found, err := pods.List(ctx, meta.ListOptions{LabelSelector: "app=web", FieldSelector: "status.phase=Running"})
		if err != nil {
			return err
		}
		return must(len(found.Items) == 1 && found.Items[0].Status.PodIP != "" && found.Items[0].Status.StartTime != nil &&
			found.Items[0].Status.ContainerStatuses[0].Ready, found.Items)
	})
	attempt("read ReplicaSets, Nodes, Endpoints and slices", func() error {
		sets, err := client.AppsV1().ReplicaSets("default").List(ctx, list)
		if err != nil {
			return err
		}
		nodes, err := client.CoreV1().Nodes().List(ctx, list)
		if err != nil {
			return err
		}
		_, err = client.DiscoveryV1().EndpointSlices("default").List(ctx, list)
		return first(func() error { return err }, func() error {
			return must(len(sets.Items) == 1 && len(nodes.Items) > 0 && nodes.Items[0].Status.NodeInfo.KubeletVersion != "" &&
				!nodes.Items[0].Status.Allocatable.Memory().IsZero(), nodes.Items)
		})
	})
	attempt("read logs of a Pod", func() error {
		found, err := pods.List(ctx, meta.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return err
		}
		stream, err := pods.GetLogs(found.Items[0].Name, &core.PodLogOptions{}).Stream(ctx)
		if err != nil {
			return err
		}
		defer stream.Close()
		_, err = io.ReadAll(stream)
		return err
	})
	attempt("change the scale", func() error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			is, err := shops.GetScale(ctx, "web", get)
			if err != nil {
				return err
			}
			is.Spec.Replicas = 2
			is, err = shops.UpdateScale(ctx, "web", is, update)
			return first(func() error { return err }, func() error { return must(is.Spec.Replicas == 2, is) })
		})
	})
	attempt("patch it strategically", func() error {
		patch := `{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}`
		is, err := shops.Patch(ctx, "web", types.StrategicMergePatchType, []byte(patch), meta.PatchOptions{})
		return first(func() error { return err }, func() error {
			container := is.Spec.Template.Spec.Containers[0]
			return must(container.Image != "" && container.Env[0].Value == "b", container)
		})
	})
	attempt("patch it by JSON patch and merge patch", func() error {
		_, err := shops.Patch(ctx, "web", types.JSONPatchType,
			[]byte(`[{"op":"add","path":"/metadata/annotations/a","value":"b"}]`), meta.PatchOptions{})
		if err != nil {
			return err
		}
		is, err := shops.Patch(ctx, "web", types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":null}}}`), meta.PatchOptions{})
		return first(func() error { return err }, func() error { return must(is.Annotations["a"] == "", is.Annotations) })
	})
	attempt("apply with a typed configuration, and be told of a conflict", func() error {
		wanted := applyapps.Deployment("web", "default").WithSpec(applyapps.DeploymentSpec().WithReplicas(3))
		_, err := shops.Apply(ctx, wanted, meta.ApplyOptions{FieldManager: "conformance"})
		if !failure.IsConflict(err) {
			return fmt.Errorf("no conflict: %w", err)
		}
		is, err := shops.Apply(ctx, wanted, meta.ApplyOptions{FieldManager: "conformance", Force: true})
		return first(func() error { return err }, func() error { return must(*is.Spec.Replicas == 3, is.Spec.Replicas) })
	})
	attempt("evict a Pod", func() error {
		found, err := pods.List(ctx, meta.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return err
		}
		name := found.Items[0].Name
		if err := pods.EvictV1(ctx, &policy.Eviction{ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "default"}}); err != nil {
			return err
		}
		return until("the Pod is gone", func() bool {
			_, err := pods.Get(ctx, name, get)
			return failure.IsNotFound(err)
		})
	})
	attempt("delete it in the foreground", func() error {
		foreground := meta.DeletePropagationForeground
		if err := shops.Delete(ctx, "web", meta.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
			return err
		}
		return until("it and its Pods are gone", func() bool {
			_, err := shops.Get(ctx, "web", get)
			found, _ := pods.List(ctx, meta.ListOptions{LabelSelector: "app=web"})
			return failure.IsNotFound(err) && len(found.Items) == 0
		})
	})
}

func isReady(object runtime.Object) bool {
	is, fits := object.(*apps.Deployment)
	return fits && is.Name == "web" && is.Status.ReadyReplicas == *is.Spec.Replicas
}

func web(replicas int32) *apps.Deployment {
	labels := map[string]string{"app": "web"}
	return &apps.Deployment{
		ObjectMeta: meta.ObjectMeta{Name: "web", Annotations: map[string]string{"team": "shop"}},
		Spec: apps.DeploymentSpec{
			Replicas: &replicas,
			Selector: &meta.LabelSelector{MatchLabels: labels},
			Template: core.PodTemplateSpec{
				ObjectMeta: meta.ObjectMeta{Labels: labels},
				Spec:       core.PodSpec{Containers: []core.Container{{Name: "web", Image: "hello:conformance"}}},
			},
		},
	}
}
