// Records what the kubelet's own code writes of Pods; copied beside that code by tests/controlplane/recording.py.
package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	containertest "k8s.io/kubernetes/pkg/kubelet/container/testing"
	"k8s.io/kubernetes/pkg/kubelet/prober"
	"k8s.io/kubernetes/pkg/kubelet/util/format"
	"k8s.io/kubernetes/test/utils/ktesting"
)

// One is what the runtime answers of one container, and what the kubelet waits for with it.
type One struct {
	Name     string
	Exited   bool
	ExitCode int
	Reason   string
	Restarts int
	Waits    bool   // for the end of its back-off
	Missing  bool   // the runtime was not asked to make it, for Reason, in
	Words    string // the kubelet's words
	Former   *One   // how it ended before; the runtime still has it
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
	// What an API server adds.
	if pod.Spec.RestartPolicy == "" {
		pod.Spec.RestartPolicy = v1.RestartPolicyAlways
	}
	kl.podManager.AddPod(pod)
	kl.probeManager.AddPod(ctx, pod)
	defer kl.probeManager.RemovePod(pod)
	backOff := flowcontrol.NewBackOff(10*time.Second, 300*time.Second)
	var told []v1.PodStatus
	write := func(answer *kubecontainer.PodStatus) {
		kl.statusManager.SetPodStatus(logger, pod, kl.generateAPIPodStatus(ctx, pod, answer, false))
		status, _ := kl.statusManager.GetPodStatus(pod.UID)
		pod.Status = *status.DeepCopy()
		told = append(told, status)
	}
	for _, step := range row.Steps {
		for _, one := range step {
			if one.Missing {
				kl.reasonCache.add(pod.UID, one.Name, errors.New(one.Reason), one.Words)
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
		if one.Missing {
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
		ImageRef: pod.Spec.Containers[index].Image,
		User:     &kubecontainer.ContainerUser{Linux: &kubecontainer.LinuxContainerUser{SupplementalGroups: []int64{0}}},
	}
	if one.Exited {
		made.State = kubecontainer.ContainerStateExited
		made.ExitCode, made.Reason, made.FinishedAt = one.ExitCode, one.Reason, started.Add(time.Second)
	}
	return made
}
