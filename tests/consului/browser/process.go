// Package browser owns one headless Chromium with a profile of its own: it starts it, reads pages in it, and leaves
// neither processes nor files behind. It must not know what pages are about.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// commands are the names under which Chromium and Chrome are installed, in order of preference.
var commands = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Find returns the path of the browser on PATH.
func Find() (string, error) {
	for _, name := range commands {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find a browser: none of %q is on PATH; install one with tools/install-chromium", commands)
}

// longestParent is how long, in bytes, the path of a directory may be that a profile is made in: the profile has a
// socket, whose path has to fit into 107 bytes.
const longestParent = 40

// Browser is a running Chromium with one tab.
type Browser struct {
	ctx     context.Context
	cancel  context.CancelFunc
	command *exec.Cmd
	profile string
	answers answers
	width   int64
	height  int64
}

// Start starts Chromium with a window of width x height pixels. It ends with ctx, or with Close, which has to be called
// in any case.
func Start(ctx context.Context, width, height int64) (*Browser, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	parent := os.TempDir()
	if len(parent) > longestParent {
		parent = "/tmp"
	}
	profile, err := os.MkdirTemp(parent, "consului-*")
	if err != nil {
		return nil, fmt.Errorf("make a profile for the browser: %w", err)
	}
	b := &Browser{profile: profile, width: width, height: height}
	allocator, cancelAllocator := chromedp.NewExecAllocator(ctx, b.options(path)...)
	tab, cancelTab := chromedp.NewContext(allocator)
	b.ctx, b.cancel = tab, func() { cancelTab(); cancelAllocator() }
	// The first action starts the browser and ties its life to the context: no shorter deadline here.
	err = chromedp.Listen(tab, b.answers.event)
	if err == nil {
		err = b.resize(tab, height)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", path, err), b.Close())
	}
	return b, nil
}

func (b *Browser) options(path string) []chromedp.ExecAllocatorOption {
	return []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.UserDataDir(b.profile),
		chromedp.Headless,
		chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck,
		// Root can't have the sandbox, containers often can't either, and all that is opened is a server of the test.
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.WindowSize(int(b.width), int(b.height)),
		chromedp.Flag("force-device-scale-factor", "1"),
		chromedp.Flag("force-color-profile", "srgb"),
		// It talks to nobody but the page's server.
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-default-apps", true),
		chromedp.Flag("disable-extensions", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-breakpad", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("no-proxy-server", true),
		// Tokens in our environment are none of its business, and it writes only below its profile.
		chromedp.NoInheritEnv,
		chromedp.Env("PATH="+os.Getenv("PATH"), "HOME="+b.profile, "TMPDIR="+b.profile, "LANG=C.UTF-8"),
		chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
			// A group of its own, so that its helper processes end with it, and Ctrl-C reaches us first.
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			b.command = c
		}),
	}
}

// Close ends the browser and its helper processes and removes its profile.
func (b *Browser) Close() error {
	if b.command != nil && b.command.Process != nil {
		// The profile is thrown away, so there is nothing to save.
		_ = syscall.Kill(-b.command.Process.Pid, syscall.SIGKILL)
	}
	b.cancel()
	if c := chromedp.FromContext(b.ctx); c != nil && c.Allocator != nil {
		c.Allocator.Wait()
	}
	// A helper process that is just ending may still make a file.
	var err error
	for range 50 {
		if err = os.RemoveAll(b.profile); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("remove the profile of the browser: %w", err)
}
