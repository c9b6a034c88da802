// Typical operations of controllers, with Kubernetes' own client library in protobuf alone: prints as JSON in what each failed.
package main

import (
	"context"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const protobuf = "application/vnd.kubernetes.protobuf"

var (
	ctx, end    = context.WithTimeout(context.Background(), 4*time.Minute)
	config      *rest.Config
	client      *kubernetes.Clientset
	create      = meta.CreateOptions{}
	get         = meta.GetOptions{}
	update      = meta.UpdateOptions{}
	remove      = meta.DeleteOptions{}
	list        = meta.ListOptions{}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

func main() {
	defer end()
	var err error
	config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		panic(err)
	}
	config.QPS, config.Burst = 1000, 1000
	binary := rest.CopyConfig(config)
	binary.ContentType, binary.AcceptContentTypes = protobuf, protobuf
	client = kubernetes.NewForConfigOrDie(binary)
	kinds()
	deployment()
	refusals()
	lists()
	followed()
	otherClients()
	elected()
	printOutcomes()
}

// An object of each kind is made, read, changed and deleted.
func kinds() {
	for _, kind := range everyKind() {
		attempt("create "+kind.name, kind.create)
		attempt("read "+kind.name+" as it was made", kind.same)
		attempt("update "+kind.name, kind.change)
		attempt("delete "+kind.name, kind.remove)
	}
}
