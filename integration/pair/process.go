package pair

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a process may take to stop, and what is under way to arrive.
const patience = time.Minute

// Build builds examples/pair, with more flags of go build, and returns the program.
func Build(t testing.TB, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pair")
	args := append([]string{"build", "-buildvcs=false", "-o", binary}, flags...)
	info, _ := debug.ReadBuildInfo()
	if info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./pair")...)
	cmd.Dir = "../../examples"
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "examples/pair doesn't build:\n%s", out)
	return binary
}

// process is a process of a bank.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	lines  chan struct{} // gets one for each transfer that it has sent
	over   chan struct{} // closed when it has ended, and err is set
	err    error
}

func start(binary string, env []string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), lines: make(chan struct{}, 1), over: make(chan struct{})}
	// The race detector delays each exit by a second if it isn't told not to.
	p.cmd.Env = slices.Concat(os.Environ(), []string{"GORACE=atexit_sleep_ms=0 " + os.Getenv("GORACE")}, env)
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(out)
	return p, nil
}

func (p *process) follow(out io.Reader) {
	defer close(p.over)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		select {
		case p.lines <- struct{}{}:
		default:
		}
	}
	p.err = p.cmd.Wait()
}

// await waits until the process has sent something n times, or has ended.
func (p *process) await(ctx context.Context, n int) {
	for range n {
		select {
		case <-p.lines:
		case <-p.over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// kill ends the process by SIGKILL. It returns an error if it had ended by itself.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill()
	<-p.over
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		return p.failure("it ended by itself")
	}
	return nil
}

// stop lets the process finish what it has in hand.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.over:
	case <-time.After(patience):
		return errors.Join(p.failure("it doesn't stop"), p.kill())
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		// One that has just begun doesn't listen to the signal yet, and has nothing in hand.
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM {
			return nil
		}
	}
	if p.err != nil {
		return p.failure("it was told to stop")
	}
	return nil
}

func (p *process) failure(what string) error {
	text := p.stderr.Bytes()
	return fmt.Errorf("%v: %s: %w\n%s", p.cmd.Args[1:], what, p.err, text[max(0, len(text)-3000):])
}
