package main

import (
	"fmt"

	core "k8s.io/api/core/v1"
	failure "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

func refusals() {
	settings := client.CoreV1().ConfigMaps("default")
	made := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "errors"}}
	attempt("an object that is there is said to be", func() error {
		if _, err := settings.Create(ctx, made, create); err != nil {
			return err
		}
		_, err := settings.Create(ctx, made, create)
		return must(failure.IsAlreadyExists(err), err)
	})
	attempt("one that is not is said not to be", func() error {
		_, err := settings.Get(ctx, "none", get)
		return must(failure.IsNotFound(err), err)
	})
	attempt("what is wrong is said with its field", func() error {
		_, err := settings.Create(ctx, &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "No Name"}}, create)
		status, is := err.(failure.APIStatus)
		return must(failure.IsInvalid(err) && is && status.Status().Details.Causes[0].Field == "metadata.name", err)
	})
	attempt("of two who change one object, one is told of the other", func() error {
		is, err := settings.Get(ctx, "errors", get)
		if err != nil {
			return err
		}
		is.Data = map[string]string{"a": "b"}
		if _, err := settings.Update(ctx, is, update); err != nil {
			return err
		}
		if _, err = settings.Update(ctx, is, update); !failure.IsConflict(err) {
			return fmt.Errorf("no conflict: %w", err)
		}
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			is, err := settings.Get(ctx, "errors", get)
			if err != nil {
				return err
			}
			is.Data["a"] = "c"
			_, err = settings.Update(ctx, is, update)
			return err
		})
	})
	attempt("a deletion has preconditions", func() error {
		other := types.UID("other")
		err := settings.Delete(ctx, "errors", meta.DeleteOptions{Preconditions: &meta.Preconditions{UID: &other}})
		return must(failure.IsConflict(err), err)
	})
	attempt("a dry run changes nothing", func() error {
		dry := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{GenerateName: "dry-"}}
		is, err := settings.Create(ctx, dry, meta.CreateOptions{DryRun: []string{meta.DryRunAll}})
		if err != nil {
			return err
		}
		_, err = settings.Get(ctx, is.Name, get)
		return must(is.Name != "" && failure.IsNotFound(err), err)
	})
}
