//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	vault "github.com/hashicorp/vault/api"

	"countersign/pipeline"
)

// rotate makes a version of a function's key, as docs/operations.md says, and returns its number.
func rotate(t *testing.T, function string) int {
	t.Helper()
	if out, code := run(t, "", filepath.Join(env.BinDir, "vault"), "write", "-f", "transit/keys/"+function+"/rotate"); code != 0 {
		t.Fatalf("vault write -f transit/keys/%s/rotate: exit code %d\n%s", function, code, out)
	}
	secret, err := vaultClient(t).Logical().Read("transit/keys/" + function)
	if err != nil {
		t.Fatal(err)
	}
	n, err := secret.Data["latest_version"].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// retireBelow has versions of a function's key count from least on.
func retireBelow(t *testing.T, function string, least int) {
	t.Helper()
	out, code := run(t, "", filepath.Join(env.BinDir, "vault"), "write", "transit/keys/"+function+"/config",
		fmt.Sprintf("min_decryption_version=%d", least))
	if code != 0 {
		t.Fatalf("vault write transit/keys/%s/config: exit code %d\n%s", function, code, out)
	}
}

// lookAtKeys has the host of a function read its keys now, and waits for what it tells of them.
func lookAtKeys(t *testing.T, function, want string) {
	t.Helper()
	out, code := run(t, "", filepath.Join(env.BinDir, "nomad"), "alloc", "signal", "-s", "SIGHUP", running(t, function).ID)
	if code != 0 {
		t.Fatalf("SIGHUP: exit code %d\n%s", code, out)
	}
	eventually(t, "a task event "+want, func() bool { return strings.Contains(events(running(t, function)), want) })
}

// keysSay runs `countersign keys` and fails the test unless it ends with a code and says something.
func keysSay(t *testing.T, wantCode int, want string, args ...string) {
	t.Helper()
	out, code := command(t, "", append([]string{"keys"}, args...)...)
	t.Logf("countersign keys %v\n%s", args, out)
	if code != wantCode || !strings.Contains(out, want) {
		t.Errorf("countersign keys %v: exit code %d; want %d and %q\n%s", args, code, wantCode, want, out)
	}
}

// loadChaos calls chaos without a pause until stop, which returns how many calls there were and what was printed of those that
// failed.
func loadChaos(t *testing.T) (stop func() (int64, []string)) {
	var calls atomic.Int64
	var failed []string
	var ended sync.WaitGroup
	end := make(chan struct{})
	ended.Add(1)
	go func() {
		defer ended.Done()
		for {
			select {
			case <-end:
				return
			default:
			}
			out, code := call(t, "chaos", `{"do":"behave"}`)
			if calls.Add(1); code != 0 {
				failed = append(failed, out)
			}
		}
	}()
	stopped := sync.OnceFunc(func() { close(end); ended.Wait() })
	t.Cleanup(stopped)
	return func() (int64, []string) {
		stopped()
		return calls.Load(), failed
	}
}

// TestRotation is the procedure of docs/operations.md under load: rotate, deploy, ask, retire. No call fails, nothing is
// restarted, and what runs starts again afterwards.
func TestRotation(t *testing.T) {
	deploy(t, "chaos")
	before, host := running(t, "chaos"), hosts(t)
	stop := loadChaos(t)

	latest := rotate(t, "chaos")
	lookAtKeys(t, "chaos", fmt.Sprintf("Attested by key version %d, and the latest is %d", latest-1, latest))
	keysSay(t, 0, fmt.Sprintf("until version %d is retired", latest-1), "chaos")
	keysSay(t, 1, "WOULD NOT START AGAIN", "chaos", "-min", fmt.Sprint(latest))
	if out := h.DeployEdited(t, nil, []string{"chaos"}, "-plan-only"); !strings.Contains(out, "would be signed again") {
		t.Errorf("a plan does not say that it would be signed again:\n%s", out)
	}
	out := deploy(t, "chaos")
	if want := fmt.Sprintf("again, by key version %d (was %d)", latest, latest-1); !strings.Contains(out, want) {
		t.Errorf("the deploy does not say %q:\n%s", want, out)
	}
	lookAtKeys(t, "chaos", fmt.Sprintf("Attested by key version %d, the latest", latest))
	keysSay(t, 0, "min_decryption_version="+fmt.Sprint(latest), "chaos", "-min", fmt.Sprint(latest))
	retireBelow(t, "chaos", latest)
	keysSay(t, 0, "ok", "chaos")
	lookAtKeys(t, "chaos", "Call certificate renewed")
	undisturbed(t, before, host)

	calls, failed := stop()
	if calls < 10 || len(failed) > 0 {
		t.Errorf("%d of %d calls failed:\n%s", len(failed), calls, strings.Join(failed, "\n"))
	}
	kill(t, hosts(t))
	eventually(t, "the function answers from a new host", func() bool { return answers(t) })
	if told := events(running(t, "chaos")); !strings.Contains(told, fmt.Sprintf("chaos:v%d", latest)) {
		t.Errorf("it was started with another attestation than that of version %d:\n%s", latest, told)
	}
	if out, code := command(t, "", "verify", "chaos"); code != 0 || !strings.Contains(out, "signed again for") {
		t.Errorf("verify: exit code %d\n%s", code, out)
	}
}

// TestRetiredBeforeItWasSignedAgain retires the version that attests what runs: that is told, the next start is refused
// with the reason, and a deploy mends it.
func TestRetiredBeforeItWasSignedAgain(t *testing.T) {
	deploy(t, "chaos")
	latest := rotate(t, "chaos")
	retireBelow(t, "chaos", latest)
	lookAtKeys(t, "chaos", fmt.Sprintf("Would not start again: key version %d attests it", latest-1))
	keysSay(t, 1, "WOULD NOT START AGAIN", "chaos")
	if !answers(t) {
		t.Error("what runs does not go on")
	}
	kill(t, hosts(t))
	eventually(t, "a start that is refused for its retired key version", func() bool {
		allocs, _, err := nomadClient(t).Jobs().Allocations("chaos", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range allocs {
			for _, task := range a.TaskStates {
				for _, e := range task.Events {
					if strings.Contains(e.DisplayMessage, "version_retired") {
						return true
					}
				}
			}
		}
		return false
	})
	if answers(t) {
		t.Error("a function that nothing attests any more answers")
	}
	out := deploy(t, "chaos")
	if !strings.Contains(out, fmt.Sprintf("by key version %d", latest)) {
		t.Errorf("the deploy signed nothing:\n%s", out)
	}
	if !answers(t) {
		t.Error("the function does not answer after the deploy that mends it")
	}
}

// tokenOf returns a token with which another than who runs the tests deploys.
func tokenOf(t *testing.T, name, policy string) string {
	t.Helper()
	var keys struct {
		RootToken string `json:"root_token"`
	}
	src, err := os.ReadFile(filepath.Join(env.Dir, "secrets", "vault.json"))
	if err == nil {
		err = json.Unmarshal(src, &keys)
	}
	if err != nil {
		t.Fatal(err)
	}
	v := vaultClient(t)
	v.SetToken(keys.RootToken)
	if _, err := v.Logical().Write("identity/entity/name/"+name, map[string]any{}); err != nil {
		t.Fatal(err)
	}
	entity, err := v.Logical().Read("identity/entity/name/" + name)
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := v.Sys().ListAuth()
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Logical().Write("identity/entity-alias", map[string]any{"name": name, "mount_accessor": mounts["token/"].Accessor,
		"canonical_id": entity.Data["id"]})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := v.Auth().Token().CreateWithRole(&vault.TokenCreateRequest{DisplayName: name, EntityAlias: name,
		Policies: []string{policy}}, "countersign-developer")
	if err != nil {
		t.Fatal(err)
	}
	return secret.Auth.ClientToken
}

// deployAs deploys chaos with a token, and returns what was printed.
func deployAs(t *testing.T, token, spec string) string {
	t.Helper()
	edit := func(_, text string) string { return strings.Replace(text, `"2s"`, spec, 1) }
	out, code := run(t, "", "env", "VAULT_TOKEN="+token, h.CLI, "deploy", "-manifest", h.Manifest(t, edit, "chaos"),
		"-jobs-dir", filepath.Dir(h.JobFile("chaos")))
	if code != 0 {
		t.Fatalf("deploy: exit code %d\n%s", code, out)
	}
	return out
}

func logged(t *testing.T) []pipeline.LogEntry {
	t.Helper()
	out, code := command(t, "", "log", "chaos", "-n", "0", "-json")
	if code != 0 {
		t.Fatalf("countersign log: exit code %d\n%s", code, out)
	}
	var entries []pipeline.LogEntry
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return entries
}

// TestWhoDeployedWhat has two people deploy, Nomad's own command stop and run the job, and reads it in the log, in what is
// attested, and in Vault's audit log. That another deploys the same changes nothing.
func TestWhoDeployedWhat(t *testing.T) {
	deploy(t, "chaos")
	bot, before := tokenOf(t, "ci-bot", "countersign-pipeline"), logged(t)
	if out := deployAs(t, bot, `"2s"`); !strings.Contains(out, "Nothing to do") {
		t.Errorf("that another deploys what runs is a change:\n%s", out)
	}
	if out := deployAs(t, bot, `"1900ms"`); !strings.Contains(out, `deployed by "ci-bot"`) {
		t.Errorf("the deploy does not say who deploys:\n%s", out)
	}
	nomad, allocation := filepath.Join(env.BinDir, "nomad"), running(t, "chaos")
	if out, code := run(t, "", nomad, "job", "run", h.JobFile("chaos")); code != 0 {
		t.Fatalf("nomad job run: exit code %d\n%s", code, out)
	}
	undisturbed(t, allocation, hosts(t))
	for _, args := range [][]string{{"job", "stop", "chaos"}, {"job", "run", h.JobFile("chaos")}} {
		if out, code := run(t, "", nomad, args...); code != 0 {
			t.Fatalf("nomad %v: exit code %d\n%s", args, code, out)
		}
	}
	entries := logged(t)
	if n := len(entries) - len(before); n != 4 {
		t.Fatalf("the log has %d entries more; want those of a deploy, a run by hand, a stop and another run", n)
	}
	byHand, stopped, updated, deployed := entries[0], entries[1], entries[2], entries[3]
	if d := deployed.Deployed; deployed.Action != pipeline.LogDeployed || d == nil || d.By != "ci-bot" || d.EntityID == "" ||
		d.Login != "token-ci-bot" || d.From == "" || deployed.OldRelease == "" || deployed.Repository == "" {
		t.Errorf("the log tells of the deploy %+v, by %+v", deployed, d)
	}
	if byHand.Deployed != nil || byHand.Action != pipeline.LogStarted || stopped.Deployed != nil || stopped.Action != pipeline.LogStopped ||
		updated.Deployed != nil || updated.Action != pipeline.LogUpdated {
		t.Errorf("what was done by hand is told as %+v, %+v, %+v; want nobody's name", updated, stopped, byHand)
	}
	if a := byHand.Attested; a == nil || a.Deployer == nil || a.Deployer.By != "ci-bot" || a.Deployer.EntityID != deployed.Deployed.EntityID {
		t.Errorf("attested is %+v, %s; want that ci-bot had it signed", a, byHand.Error)
	}
	out, code := command(t, "", "log", "chaos")
	t.Logf("countersign log chaos\n%s", out)
	if code != 0 || !strings.Contains(out, "ci-bot (token-ci-bot)") || !strings.Contains(out, "unknown") {
		t.Errorf("countersign log: exit code %d\n%s", code, out)
	}
	if out, code := command(t, "", "verify", "chaos"); code != 0 || !strings.Contains(out, "deployer    ci-bot") {
		t.Errorf("countersign verify: exit code %d\n%s", code, out)
	}
	audited(t, bot, deployed.Deployed.EntityID)
}

// TestDeployWithoutAName deploys with a token that may not ask Vault whose it is: nothing is signed, and the error has the
// way out.
func TestDeployWithoutAName(t *testing.T) {
	deploy(t, "chaos")
	token := tokenOf(t, "nobody-knows", "countersign-operator")
	out, code := run(t, "", "env", "VAULT_TOKEN="+token, h.CLI, "deploy", "-manifest", h.Manifest(t, nil, "chaos"), "-jobs-dir", t.TempDir())
	if code == 0 || !strings.Contains(out, "its policy lacks `read` of auth/token/lookup-self") || strings.Contains(out, token) {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// audited fails the test unless Vault's audit log, which nobody else can read, has a signature for chaos with an entity,
// and no token.
func audited(t *testing.T, token, entity string) {
	t.Helper()
	file := filepath.Join(env.Dir, "log", "vault-audit.log")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		t.Errorf("the audit log has mode %v", info.Mode())
	}
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(src), token) {
		t.Error("a token is in the audit log")
	}
	if !slices.ContainsFunc(strings.Split(string(src), "\n"), func(line string) bool {
		return strings.Contains(line, `"path":"transit/sign/chaos"`) && strings.Contains(line, `"entity_id":"`+entity+`"`)
	}) {
		t.Error("the audit log does not tell who had chaos signed")
	}
}
