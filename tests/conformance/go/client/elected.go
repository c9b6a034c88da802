package main

import (
	"context"
	"fmt"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

func elected() {
	attempt("of two candidates one leads, and the other when it ends", func() error {
		leads := make(chan string, 4)
		candidate := func(name string) context.CancelFunc {
			within, stop := context.WithCancel(ctx)
			lock := &resourcelock.LeaseLock{
				LeaseMeta: meta.ObjectMeta{Name: "leader", Namespace: "default"}, Client: client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: name},
			}
			go leaderelection.RunOrDie(within, leaderelection.LeaderElectionConfig{
				Lock: lock, ReleaseOnCancel: true, LeaseDuration: 4 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 200 * time.Millisecond,
				Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { leads <- name }, OnStoppedLeading: func() {}},
			})
			return stop
		}
		stop := candidate("one")
		if err := must(<-leads == "one", "one does not lead"); err != nil {
			return err
		}
		defer candidate("two")()
		stop()
		select {
		case name := <-leads:
			return must(name == "two", name)
		case <-time.After(10 * time.Second):
			return fmt.Errorf("nobody leads")
		}
	})
}
