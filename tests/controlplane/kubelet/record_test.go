// Records what the kubelet's own code writes of Pods; copied beside that code by tests/controlplane/recording.py.
package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/kubelet/configmap"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	containertest "k8s.io/kubernetes/pkg/kubelet/container/testing"
	"k8s.io/kubernetes/pkg/kubelet/images"
	"k8s.io/kubernetes/pkg/kubelet/images/pullmanager"
	"k8s.io/kubernetes/pkg/kubelet/kuberuntime"
	"k8s.io/kubernetes/pkg/kubelet/prober"
	"k8s.io/kubernetes/pkg/kubelet/util/format"
	"k8s.io/kubernetes/test/utils/ktesting"
)

// One is what the runtime answers of one container, and what the kubelet waits for with it.
type One struct {
	Name       string
	Exited     bool
	ExitCode   int
	Reason     string
	Restarts   int
	Waits      bool       // for the end of its back-off
	NotPulled  *NotPulled // what the runtime answers instead of pulling its image
	NotWorking bool       // the kubelet cannot work out its configuration
	Former     *One       // how it ended before; the runtime still has it
}

// NotPulled is an error of a pull, as gRPC carries it.
type NotPulled struct {
	Code  codes.Code
	Words string
}

// Row is a Pod and the answers of the runtime, in order.
type Row struct {
	Name    string
	Pod     json.RawMessage
	Steps   [][]One
	IsEnded bool // the last answer comes once more, after the sandbox was stopped
}

type recording struct {
	Source   string          `json:"source"`
	Pod      json.RawMessage `json:"pod"`
	Statuses []v1.PodStatus  `json:"statuses"`
}

func TestRecord(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("ROWS"))
	if err != nil {
		t.Fatal(err)
	}
	var asked struct {
		Source string
		Rows   []Row
	}
	if err := json.Unmarshal(text, &asked); err != nil {
		t.Fatal(err)
	}
	for _, row := range asked.Rows {
		t.Run(row.Name, func(t *testing.T) {
			made := recording{Source: asked.Source, Pod: row.Pod, Statuses: statuses(t, row)}
			out, err := json.MarshalIndent(made, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(os.Getenv("RECORDINGS"), row.Name+".json")
			if err := os.WriteFile(path, append(out, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func statuses(t *testing.T, row Row) []v1.PodStatus {
	logger, ctx := ktesting.NewTestContext(t)
	made := newTestKubelet(t, false)
	defer made.Cleanup()
	kl := made.kubelet
	kl.nodeLister = testNodeLister{nodes: []*v1.Node{{
		ObjectMeta: metav1.ObjectMeta{Name: string(kl.nodeName)},
		Status: v1.NodeStatus{Addresses: []v1.NodeAddress{
			{Type: v1.NodeInternalIP, Address: "10.0.0.7"},
		}},
	}}}
	kl.probeManager = prober.NewManager(
		kl.statusManager, kl.livenessManager, kl.readinessManager, kl.startupManager,
		&containertest.FakeContainerCommandRunner{}, &record.FakeRecorder{},
	)
	pod := &v1.Pod{}
	if err := json.Unmarshal(row.Pod, pod); err != nil {
		t.Fatal(err)
	}
	addDefaults(pod)
	kl.podManager.AddPod(pod)
	kl.probeManager.AddPod(ctx, pod)
	defer kl.probeManager.RemovePod(pod)
	backOff := flowcontrol.NewBackOff(10*time.Second, 300*time.Second)
	starter := starter{kl: kl, pod: pod, pulls: flowcontrol.NewBackOff(10*time.Second, 300*time.Second)}
	var told []v1.PodStatus
	write := func(answer *kubecontainer.PodStatus) {
		kl.statusManager.SetPodStatus(logger, pod, kl.generateAPIPodStatus(ctx, pod, answer, false))
		status, _ := kl.statusManager.GetPodStatus(pod.UID)
		pod.Status = *status.DeepCopy()
		told = append(told, timeless(status))
	}
	for _, step := range row.Steps {
		for _, one := range step {
			if err, words := starter.start(ctx, one); err != nil {
				kl.reasonCache.add(pod.UID, one.Name, err, words)
			}
			if one.Waits {
				// As doBackOff of kuberuntime_manager.go words it.
				key := fmt.Sprintf("%s/%s", pod.UID, one.Name)
				backOff.Next(key, time.Now())
				why := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s",
					backOff.Get(key), one.Name, format.Pod(pod))
				kl.reasonCache.add(pod.UID, one.Name, kubecontainer.ErrCrashLoopBackOff, why)
			}
		}
		write(answer(pod, step, true))
	}
	if row.IsEnded {
		write(answer(pod, row.Steps[len(row.Steps)-1], false))
	}
	return told
}

// addDefaults writes what an API server adds.
func addDefaults(pod *v1.Pod) {
	if pod.Spec.RestartPolicy == "" {
		pod.Spec.RestartPolicy = v1.RestartPolicyAlways
	}
	links := true
	pod.Spec.EnableServiceLinks = &links
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for index := range list {
			list[index].ImagePullPolicy = v1.PullIfNotPresent
		}
	}
}

// timeless returns a status whose times are always the same, so that what is recorded anew can be compared.
func timeless(status v1.PodStatus) v1.PodStatus {
	made, at := *status.DeepCopy(), metav1.Date(2026, time.November, 25, 4, 0, 0, 0, time.UTC)
	made.StartTime = &at
	for index := range made.Conditions {
		made.Conditions[index].LastTransitionTime = at
	}
	return made
}

// starter does what startContainer of kuberuntime_container.go does before the runtime is asked to make a container.
type starter struct {
	kl     *Kubelet
	pod    *v1.Pod
	pulls  *flowcontrol.Backoff
	images map[string]images.ImageManager
}

// start returns the error and the words that a container's start ends with, as far as it is to fail.
func (s *starter) start(ctx context.Context, one One) (error, string) {
	container := found(s.pod, one.Name)
	if one.NotPulled != nil {
		manager := s.images[one.Name]
		if manager == nil {
			manager = imageManager(s.kl, s.pulls, *one.NotPulled)
			s.images = map[string]images.ImageManager{one.Name: manager}
		}
		_, words, err := manager.EnsureImageExists(
			ctx, &v1.ObjectReference{}, s.pod, container.Image, nil, &runtimeapi.PodSandboxConfig{Metadata: &runtimeapi.PodSandboxMetadata{}}, "", container.ImagePullPolicy,
		)
		return err, words
	}
	if one.NotWorking {
		// As a kubelet has it by default: NewMainKubelet.
		s.kl.configMapManager = configmap.NewWatchingConfigMapManager(fake.NewClientset(), time.Hour)
		s.kl.configMapManager.RegisterPod(s.pod)
		// Of GenerateRunContainerOptions, which needs more of a node than there is here.
		_, err := s.kl.makeEnvironmentVariables(ctx, s.pod, container, "10.244.0.7", []string{"10.244.0.7"}, nil)
		if err == nil {
			return nil, ""
		}
		status, _ := grpcstatus.FromError(err)
		return kuberuntime.ErrCreateContainerConfig, status.Message()
	}
	return nil, ""
}

func imageManager(kl *Kubelet, backOff *flowcontrol.Backoff, why NotPulled) images.ImageManager {
	err := grpcstatus.Error(why.Code, why.Words)
	if why.Code == codes.Unknown {
		// As pullImageV1 of cri-client does.
		err = errors.New(why.Words)
	}
	return images.NewImageManager(
		&record.FakeRecorder{}, &credentialprovider.BasicDockerKeyring{}, &containertest.FakeRuntime{Err: err},
		&pullmanager.NoopImagePullManager{}, backOff, true, nil, 0, 0, kl.podStartupLatencyTracker,
	)
}

func found(pod *v1.Pod, name string) *v1.Container {
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for index := range list {
			if list[index].Name == name {
				return &list[index]
			}
		}
	}
	panic(name)
}

func answer(pod *v1.Pod, step []One, isUp bool) *kubecontainer.PodStatus {
	state := runtimeapi.PodSandboxState_SANDBOX_READY
	if !isUp {
		state = runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	}
	made := &kubecontainer.PodStatus{
		ID: pod.UID, Name: pod.Name, Namespace: pod.Namespace,
		// Kept when the sandbox is stopped: getPodIPs, pleg/generic.go.
		IPs: []string{"10.244.0.7"},
		SandboxStatuses: []*runtimeapi.PodSandboxStatus{{
			Id: "sandbox", State: state,
			Metadata: &runtimeapi.PodSandboxMetadata{Name: pod.Name, Namespace: pod.Namespace, Uid: string(pod.UID)},
			Network:  &runtimeapi.PodSandboxNetworkStatus{Ip: "10.244.0.7"},
			Linux:    &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{Options: &runtimeapi.NamespaceOption{}}},
		}},
	}
	for index, one := range step {
		if one.NotPulled != nil || one.NotWorking {
			continue
		}
		made.ContainerStatuses = append(made.ContainerStatuses, of(pod, index, one))
		if one.Former != nil {
			made.ContainerStatuses = append(made.ContainerStatuses, of(pod, index, *one.Former))
		}
	}
	for _, status := range made.ContainerStatuses {
		if status.State == kubecontainer.ContainerStateRunning {
			made.ActiveContainerStatuses = append(made.ActiveContainerStatuses, status)
		}
	}
	return made
}

func of(pod *v1.Pod, index int, one One) *kubecontainer.Status {
	started := time.Date(2026, 11, 25, 4, one.Restarts, 0, 0, time.UTC)
	made := &kubecontainer.Status{
		Name:         one.Name,
		ID:           kubecontainer.ContainerID{Type: "containerd", ID: fmt.Sprintf("%064x", 0xc0ffee00+0x10*index+one.Restarts)},
		State:        kubecontainer.ContainerStateRunning,
		CreatedAt:    started,
		StartedAt:    started,
		RestartCount: one.Restarts,
		// As containerd answers of an image that was pulled by its digest: its configuration's, and the reference.
		Image:    "sha256:2222222222222222222222222222222222222222222222222222222222222222",
		ImageRef: found(pod, one.Name).Image,
		User:     &kubecontainer.ContainerUser{Linux: &kubecontainer.LinuxContainerUser{SupplementalGroups: []int64{0}}},
	}
	if one.Exited {
		made.State = kubecontainer.ContainerStateExited
		made.ExitCode, made.Reason, made.FinishedAt = one.ExitCode, one.Reason, started.Add(time.Second)
	}
	return made
}
