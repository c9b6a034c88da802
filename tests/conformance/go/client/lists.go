package main

import (
	"fmt"

	core "k8s.io/api/core/v1"
	failure "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

func lists() {
	settings := client.CoreV1().ConfigMaps("lists")
	attempt("create a namespace and 25 objects", func() error {
		if _, err := client.CoreV1().Namespaces().Create(ctx, &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: "lists"}}, create); err != nil {
			return err
		}
		for number := range 25 {
			one := &core.ConfigMap{
				ObjectMeta: meta.ObjectMeta{Name: fmt.Sprintf("one-%02d", number), Labels: map[string]string{"even": fmt.Sprint(number%2 == 0)}},
				BinaryData: map[string][]byte{"number": {byte(number), 0xff}},
			}
			if _, err := settings.Create(ctx, one, create); err != nil {
				return err
			}
		}
		return nil
	})
	attempt("list them in parts", func() error {
		parts := pager.New(pager.SimplePageFunc(func(opts meta.ListOptions) (object runtime.Object, err error) {
			return settings.List(ctx, opts)
		}))
		parts.PageSize = 10
		seen := 0
		err := parts.EachListItem(ctx, list, func(runtime.Object) error { seen++; return nil })
		return first(func() error { return err }, func() error { return must(seen == 25, seen) })
	})
	attempt("a part says how many there are further", func() error {
		part, err := settings.List(ctx, meta.ListOptions{Limit: 10})
		return first(func() error { return err }, func() error {
			return must(part.RemainingItemCount != nil && *part.RemainingItemCount == 15 && part.Continue != "", part.ListMeta)
		})
	})
	attempt("list by labels and fields", func() error {
		even, err := settings.List(ctx, meta.ListOptions{LabelSelector: labels.Set{"even": "true"}.String()})
		if err != nil {
			return err
		}
		one, err := settings.List(ctx, meta.ListOptions{FieldSelector: "metadata.name=one-07"})
		return first(func() error { return err }, func() error {
			return must(len(even.Items) == 13 && len(one.Items) == 1 && one.Items[0].BinaryData["number"][0] == 7, one.Items)
		})
	})
	attempt("list at a revision exactly", func() error {
		all, err := settings.List(ctx, list)
		if err != nil {
			return err
		}
		_, err = settings.List(ctx, meta.ListOptions{ResourceVersion: all.ResourceVersion, ResourceVersionMatch: meta.ResourceVersionMatchNotOlderThan})
		return err
	})
	attempt("delete a collection", func() error {
		if err := settings.DeleteCollection(ctx, remove, meta.ListOptions{LabelSelector: "even=true"}); err != nil {
			return err
		}
		left, err := settings.List(ctx, list)
		return first(func() error { return err }, func() error { return must(len(left.Items) == 12, len(left.Items)) })
	})
	attempt("delete the namespace, which empties itself", func() error {
		if err := client.CoreV1().Namespaces().Delete(ctx, "lists", remove); err != nil {
			return err
		}
		return until("the namespace is gone", func() bool {
			_, err := client.CoreV1().Namespaces().Get(ctx, "lists", get)
			return failure.IsNotFound(err)
		})
	})
}
