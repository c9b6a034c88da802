package main

import (
	"fmt"

	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/retry"
)

func otherClients() {
	attempt("discovery finds all groups", func() error {
		groups, lists, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerGroupsAndResources()
		return first(func() error { return err }, func() error { return must(len(groups) > 5 && len(lists) > 5, groups) })
	})
	attempt("the OpenAPI documents of version 3 are read", func() error {
		paths, err := discovery.NewDiscoveryClientForConfigOrDie(config).OpenAPIV3().Paths()
		if err != nil {
			return err
		}
		for name, group := range paths {
			if _, err := group.Schema("application/json"); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return must(len(paths) > 5, paths)
	})
	attempt("a mapper finds kinds", func() error {
		mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(config)))
		found, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
		return first(func() error { return err }, func() error { return must(found.Resource == deployments, found) })
	})
	loose := dynamic.NewForConfigOrDie(config)
	attempt("the dynamic client creates, reads, applies and deletes", func() error {
		one := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "loose"}, "data": map[string]any{"a": "b"},
		}}
		settings := loose.Resource(configMaps).Namespace("default")
		if _, err := settings.Create(ctx, one, create); err != nil {
			return err
		}
		one.Object["data"] = map[string]any{"c": "d"}
		is, err := settings.Apply(ctx, "loose", one, meta.ApplyOptions{FieldManager: "loose", Force: true})
		if err != nil {
			return err
		}
		data, _, _ := unstructured.NestedStringMap(is.Object, "data")
		if err := must(data["c"] == "d", data); err != nil {
			return err
		}
		return settings.Delete(ctx, "loose", remove)
	})
	attempt("dynamic informers see all", func() error {
		stop := make(chan struct{})
		defer close(stop)
		factory := dynamicinformer.NewDynamicSharedInformerFactory(loose, 0)
		factory.ForResource(configMaps).Informer()
		factory.ForResource(deployments).Informer()
		factory.Start(stop)
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("%v was not read", kind)
			}
		}
		return nil
	})
	binary := rest.CopyConfig(config)
	about := metadata.NewForConfigOrDie(metadata.ConfigFor(binary))
	attempt("the metadata client lists, and its informers see all", func() error {
		found, err := about.Resource(configMaps).Namespace("default").List(ctx, list)
		if err != nil {
			return err
		}
		if err := must(len(found.Items) > 0 && found.Items[0].Name != "" && found.ResourceVersion != "", found); err != nil {
			return err
		}
		stop := make(chan struct{})
		defer close(stop)
		factory := metadatainformer.NewSharedInformerFactory(about, 0)
		factory.ForResource(configMaps).Informer()
		factory.Start(stop)
		return must(factory.WaitForCacheSync(ctx.Done())[configMaps], "not read")
	})
	attempt("the scale client reads and changes", func() error {
		if _, err := client.AppsV1().Deployments("default").Create(ctx, web(1), create); err != nil {
			return err
		}
		disco := discovery.NewDiscoveryClientForConfigOrDie(config)
		mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
		scales, err := scale.NewForConfig(config, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(disco))
		if err != nil {
			return err
		}
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			is, err := scales.Scales("default").Get(ctx, deployments.GroupResource(), "web", get)
			if err != nil {
				return err
			}
			is.Spec.Replicas = 0
			_, err = scales.Scales("default").Update(ctx, deployments.GroupResource(), is, update)
			return err
		})
	})
	attempt("a typed apply makes what is not there", func() error {
		is, err := client.CoreV1().ConfigMaps("default").Apply(ctx,
			applycore.ConfigMap("applied", "default").WithData(map[string]string{"a": "b"}), meta.ApplyOptions{FieldManager: "me"})
		return first(func() error { return err }, func() error {
			return must(len(is.ManagedFields) == 1 && is.ManagedFields[0].Operation == meta.ManagedFieldsOperationApply, is.ManagedFields)
		})
	})
	attempt("an autoscaler of version 2 is kept as it was made", func() error {
		average := resource.MustParse("50")
		made, err := client.AutoscalingV2().HorizontalPodAutoscalers("default").Create(ctx, &autoscaling.HorizontalPodAutoscaler{
			ObjectMeta: meta.ObjectMeta{Name: "web"},
			Spec: autoscaling.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscaling.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
				MaxReplicas:    4,
				Metrics: []autoscaling.MetricSpec{{Type: autoscaling.PodsMetricSourceType, Pods: &autoscaling.PodsMetricSource{
					Metric: autoscaling.MetricIdentifier{Name: "http_requests_per_second"},
					Target: autoscaling.MetricTarget{Type: autoscaling.AverageValueMetricType, AverageValue: &average},
				}}},
			},
		}, create)
		return first(func() error { return err }, func() error {
			return must(made.Spec.Metrics[0].Pods.Target.AverageValue.Equal(average), made.Spec)
		})
	})
}
