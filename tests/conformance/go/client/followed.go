package main

import (
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	failure "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

func followed() {
	attempt("informers see what there is and what changes", func() error {
		stop := make(chan struct{})
		defer close(stop)
		factory := informers.NewSharedInformerFactory(client, 0)
		seen := make(chan string, 100)
		informer := factory.Core().V1().ConfigMaps().Informer()
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(is any) { seen <- "added " + is.(*core.ConfigMap).Name },
			UpdateFunc: func(_, is any) { seen <- "updated " + is.(*core.ConfigMap).Name },
			DeleteFunc: func(is any) { seen <- "deleted " + is.(*core.ConfigMap).Name },
		})
		if err != nil {
			return err
		}
		// Asking for them is what lets the factory read them.
		factory.Apps().V1().Deployments().Informer()
		factory.Apps().V1().ReplicaSets().Informer()
		factory.Core().V1().Pods().Informer()
		factory.Core().V1().Nodes().Informer()
		factory.Core().V1().Services().Informer()
		factory.Core().V1().Endpoints().Informer()
		factory.Core().V1().Secrets().Informer()
		factory.Core().V1().Events().Informer()
		factory.Networking().V1().Ingresses().Informer()
		factory.Networking().V1().NetworkPolicies().Informer()
		factory.Discovery().V1().EndpointSlices().Informer()
		factory.Autoscaling().V2().HorizontalPodAutoscalers().Informer()
		factory.Rbac().V1().Roles().Informer()
		factory.Policy().V1().PodDisruptionBudgets().Informer()
		factory.Coordination().V1().Leases().Informer()
		factory.Start(stop)
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("%v was not read", kind)
			}
		}
		settings := client.CoreV1().ConfigMaps("default")
		one := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "followed"}}
		made, err := settings.Create(ctx, one, create)
		if err != nil {
			return err
		}
		made.Data = map[string]string{"a": "b"}
		if _, err = settings.Update(ctx, made, update); err != nil {
			return err
		}
		if err = settings.Delete(ctx, "followed", remove); err != nil {
			return err
		}
		for _, wanted := range []string{"added followed", "updated followed", "deleted followed"} {
			for found := ""; found != wanted; {
				select {
				case found = <-seen:
				case <-time.After(10 * time.Second):
					return fmt.Errorf("not seen: %s", wanted)
				}
			}
		}
		return nil
	})
	attempt("a watch begins at a revision, with bookmarks", func() error {
		settings := client.CoreV1().ConfigMaps("default")
		now, err := settings.List(ctx, list)
		if err != nil {
			return err
		}
		if _, err := settings.Create(ctx, &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "later"}}, create); err != nil {
			return err
		}
		watching, err := settings.Watch(ctx, meta.ListOptions{ResourceVersion: now.ResourceVersion, AllowWatchBookmarks: true})
		if err != nil {
			return err
		}
		defer watching.Stop()
		event := <-watching.ResultChan()
		return must(event.Type == watch.Added && event.Object.(*core.ConfigMap).Name == "later", event)
	})
	attempt("a watch of what was long ago ends with 410", func() error {
		watching, err := client.CoreV1().ConfigMaps("default").Watch(ctx, meta.ListOptions{ResourceVersion: "1"})
		if err != nil {
			return must(failure.IsResourceExpired(err) || failure.IsGone(err), err)
		}
		defer watching.Stop()
		select {
		case event := <-watching.ResultChan():
			return must(event.Type == watch.Added || failure.IsResourceExpired(failure.FromObject(event.Object)), event)
		case <-time.After(5 * time.Second):
			return nil
		}
	})
	attempt("events are recorded", func() error {
		caster := record.NewBroadcaster()
		defer caster.Shutdown()
		caster.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")})
		about := &core.ObjectReference{Kind: "ConfigMap", Name: "later", Namespace: "default", APIVersion: "v1"}
		caster.NewRecorder(scheme.Scheme, core.EventSource{Component: "conformance"}).Event(about, "Normal", "Tried", "it was tried")
		return until("the event is there", func() bool {
			found, err := client.CoreV1().Events("default").List(ctx, meta.ListOptions{FieldSelector: "reason=Tried"})
			return err == nil && len(found.Items) == 1
		})
	})
}
