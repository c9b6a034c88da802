package main

import (
	"context"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"
)

// A kind with what is done to an object of it.
type kind struct {
	name                         string
	create, same, change, remove func() error
}

// What all typed clients have.
type typed[T any] interface {
	Create(c context.Context, object T, opts meta.CreateOptions) (T, error)
	Get(c context.Context, name string, opts meta.GetOptions) (T, error)
	Update(c context.Context, object T, opts meta.UpdateOptions) (T, error)
	Delete(c context.Context, name string, opts meta.DeleteOptions) error
}

func of[T meta.Object](name string, client typed[T], object T) kind {
	return kind{
		name: name,
		create: func() error {
			_, err := client.Create(ctx, object, create)
			return err
		},
		same: func() error {
			read, err := client.Get(ctx, object.GetName(), get)
			return first(func() error { return err }, func() error { return same(object, read) })
		},
		change: func() error {
			return retry.RetryOnConflict(retry.DefaultRetry, func() error {
				read, err := client.Get(ctx, object.GetName(), get)
				if err != nil {
					return err
				}
				read.SetAnnotations(map[string]string{"changed": "yes"})
				read, err = client.Update(ctx, read, update)
				return first(func() error { return err }, func() error { return must(read.GetAnnotations()["changed"] == "yes", read) })
			})
		},
		remove: func() error { return client.Delete(ctx, object.GetName(), remove) },
	}
}

func everyKind() []kind {
	name := func(name string) meta.ObjectMeta {
		return meta.ObjectMeta{Name: name, Labels: map[string]string{"by": "conformance"}}
	}
	yes, prefix, half := true, networking.PathTypePrefix, intstr.FromString("50%")
	tcp, port := core.ProtocolTCP, intstr.FromInt32(80)
	holder, seconds := "me", int32(15)
	rules := []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}}}
	subjects := []rbac.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: "default"}}
	selector := &meta.LabelSelector{
		MatchLabels:      map[string]string{"app": "web"},
		MatchExpressions: []meta.LabelSelectorRequirement{{Key: "tier", Operator: meta.LabelSelectorOpIn, Values: []string{"a", "b"}}},
	}
	v1 := client.CoreV1()
	return []kind{
		of("Namespace", v1.Namespaces(), &core.Namespace{ObjectMeta: name("room")}),
		of("ConfigMap", v1.ConfigMaps("default"), &core.ConfigMap{
			ObjectMeta: name("settings"), Data: map[string]string{"a": "b", "empty": ""}, BinaryData: map[string][]byte{"raw": {0, 255}},
		}),
		of("Secret", v1.Secrets("default"), &core.Secret{
			ObjectMeta: name("secret"), Type: core.SecretTypeOpaque, Data: map[string][]byte{"key": []byte("value")}, Immutable: &yes,
		}),
		of("Service", v1.Services("default"), &core.Service{ObjectMeta: name("service"), Spec: core.ServiceSpec{
			Selector: map[string]string{"app": "web"},
			Ports:    []core.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web"), Protocol: tcp}},
		}}),
		of("ServiceAccount", v1.ServiceAccounts("default"), &core.ServiceAccount{ObjectMeta: name("account"), AutomountServiceAccountToken: &yes}),
		of("Ingress", client.NetworkingV1().Ingresses("default"), &networking.Ingress{ObjectMeta: name("ingress"), Spec: networking.IngressSpec{
			Rules: []networking.IngressRule{{Host: "a.example", IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{
				Paths: []networking.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networking.IngressBackend{
					Service: &networking.IngressServiceBackend{Name: "service", Port: networking.ServiceBackendPort{Name: "http"}},
				}}},
			}}}},
		}}),
		of("IngressClass", client.NetworkingV1().IngressClasses(), &networking.IngressClass{
			ObjectMeta: name("class"), Spec: networking.IngressClassSpec{Controller: "sampan.dev/gateway"},
		}),
		of("NetworkPolicy", client.NetworkingV1().NetworkPolicies("default"), &networking.NetworkPolicy{ObjectMeta: name("policy"), Spec: networking.NetworkPolicySpec{
			PodSelector: *selector, PolicyTypes: []networking.PolicyType{networking.PolicyTypeIngress},
			Ingress: []networking.NetworkPolicyIngressRule{{
				From:  []networking.NetworkPolicyPeer{{PodSelector: &meta.LabelSelector{}, NamespaceSelector: &meta.LabelSelector{}}},
				Ports: []networking.NetworkPolicyPort{{Protocol: &tcp, Port: &port}},
			}},
		}}),
		of("PodDisruptionBudget", client.PolicyV1().PodDisruptionBudgets("default"), &policy.PodDisruptionBudget{
			ObjectMeta: name("budget"), Spec: policy.PodDisruptionBudgetSpec{MinAvailable: &half, Selector: selector},
		}),
		of("Role", client.RbacV1().Roles("default"), &rbac.Role{ObjectMeta: name("role"), Rules: rules}),
		of("RoleBinding", client.RbacV1().RoleBindings("default"), &rbac.RoleBinding{
			ObjectMeta: name("binding"), Subjects: subjects, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: "role"},
		}),
		of("ClusterRole", client.RbacV1().ClusterRoles(), &rbac.ClusterRole{ObjectMeta: name("cluster-role"), Rules: rules}),
		of("ClusterRoleBinding", client.RbacV1().ClusterRoleBindings(), &rbac.ClusterRoleBinding{
			ObjectMeta: name("cluster-binding"), Subjects: subjects, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "view"},
		}),
		of("PriorityClass", client.SchedulingV1().PriorityClasses(), &scheduling.PriorityClass{ObjectMeta: name("important"), Value: -5, Description: "less"}),
		of("Lease", client.CoordinationV1().Leases("default"), &coordination.Lease{
			ObjectMeta: name("lease"), Spec: coordination.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds},
		}),
		paused(),
	}
}

// Whether what was read is what was made, but for what the server adds.
func same(made, read meta.Object) error {
	made.SetCreationTimestamp(read.GetCreationTimestamp())
	made.SetGeneration(read.GetGeneration())
	return must(equality.Semantic.DeepDerivative(made, read), read)
}

// A Deployment, of which the status changes as soon as it is made.
func paused() kind {
	made := web(0)
	made.Spec.Paused = true
	of := of("Deployment", client.AppsV1().Deployments("default"), made)
	of.same = func() error {
		read, err := client.AppsV1().Deployments("default").Get(ctx, made.Name, get)
		return first(func() error { return err }, func() error {
			return must(equality.Semantic.DeepDerivative(made.Spec, read.Spec), read.Spec)
		})
	}
	return of
}
