package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// patience is how long a process has to get ready, for the calls that a strike
// waits for, and to stop.
const patience = 30 * time.Second

// maxCalls is how many calls a strike waits for at most.
const maxCalls = 8

// process is a process that a run has started.
type process struct {
	number int
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	ready  chan struct{}
	done   chan struct{} // its transactions are done
	calls  chan struct{} // gets one for each call that has ended, up to maxCalls
	over   chan struct{} // it has ended, and what follows is set

	err     error
	reports []report
}

// start starts a process of the binary. What it is told in env comes on top of
// this process's environment.
func start(binary string, env []string, o orders) (*process, error) {
	told, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	p := &process{
		number: o.Process,
		cmd:    exec.Command(binary),
		ready:  make(chan struct{}),
		done:   make(chan struct{}),
		calls:  make(chan struct{}, maxCalls),
		over:   make(chan struct{}),
	}
	// The race detector delays each exit by a second if it isn't told not to.
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"), childEnv+"="+string(told))
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(stdout)
	return p, nil
}

// follow reads what the process tells until it has ended; close over is its
// last act.
func (p *process) follow(stdout io.Reader) {
	defer close(p.over)
	lines := json.NewDecoder(stdout)
	for {
		var r report
		err := lines.Decode(&r)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // cut off by the kill
				p.err = fmt.Errorf("it prints: %w", err)
			}
			break
		}
		switch r.State {
		case ready:
			close(p.ready)
		case done:
			close(p.done)
		case refused:
			p.reports = append(p.reports, r)
		case ended:
			p.reports = append(p.reports, r)
			p.callEnded()
		case committed:
			p.callEnded()
		}
	}
	_, _ = io.Copy(io.Discard, stdout)
	if err := p.cmd.Wait(); p.err == nil {
		p.err = err
	}
}

func (p *process) callEnded() {
	select {
	case p.calls <- struct{}{}:
	default:
	}
}

// await waits until n more calls have ended, but not beyond patience: a call
// may wait for what only a strike can end.
func (p *process) await(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for range n {
		select {
		case <-p.calls:
		case <-p.over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// kill ends the process by SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.over
	_ = p.stdin.Close()
}

// killed reports whether the process, which is over, has ended by SIGKILL and
// not by itself.
func (p *process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// stop lets the process finish what it has in hand: it is told so by the end
// of its input or, if sig is not 0, by a signal.
func (p *process) stop(sig syscall.Signal) error {
	if sig == 0 {
		_ = p.stdin.Close()
	} else {
		_ = p.cmd.Process.Signal(sig)
		defer p.stdin.Close()
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.over:
		return p.failure()
	case <-timer.C:
		p.kill()
		return fmt.Errorf("process %d didn't stop within %v and was killed\n%s", p.number, patience, p.stderr.Bytes())
	}
}

// standStill stops the process for d, as a machine does that is out of breath.
func (p *process) standStill(ctx context.Context, d time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("process %d: SIGSTOP: %w", p.number, err)
	}
	pause(ctx, d)
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// failure returns why a process that has ended was not well.
func (p *process) failure() error {
	err := p.err
	if p.killed() {
		err = nil
	}
	if bytes.Contains(p.stderr.Bytes(), []byte("WARNING: DATA RACE")) {
		err = errors.Join(err, errors.New("data race"))
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("process %d: %w\n%s", p.number, err, p.stderr.Bytes())
}
