package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A job is what one run of a program has to do. Each run has a process of its
// own, so that its CPU time and its memory are its own too.
type job struct {
	Program  string // one of programs
	Database string // a kind of database; empty for a program without one
	Quorum   bool   // the type of the queue
	Count    int    // messages or transactions
	Size     int    // bytes of a body
	Parallel int    // workers, writers, or connections to the broker
	Burst    int    // rows of a batch
	Window   int    // messages without a confirm

	OldSnapshot bool // another session holds a snapshot from before the run

	// What the stage adds.
	DSN, AMQP, Queue       string
	DatabasePID, BrokerPID int // 0: unknown
	Profile                string
}

// program is what a job can run. It calls m.start when it is set up and m.stop
// when the work is done.
type program struct {
	run     func(ctx context.Context, j job, m *meter) error
	drains  bool // it finds Count rows in the table, and leaves none
	records bool // it leaves Count rows in the table
	sends   bool // it leaves Count messages in the queue
}

func programs() map[string]program {
	return map[string]program{
		"raw broker":         {run: rawBroker, sends: true},
		"hand-written relay": {run: handWrittenRelay, drains: true, sends: true},
		"FlushMany":          {run: flushMany, drains: true, sends: true},
		"FlushOrdered":       {run: flushOrdered, drains: true, sends: true},
	}
}

// name describes the job as one of those of its row.
func (j job) name() string {
	name := fmt.Sprintf("%s, %s, %d bytes, %d parallel", j.Program, queueName(j.Quorum), j.Size, j.Parallel)
	if j.Database != "" {
		name = fmt.Sprintf("%s, %s", j.Database, name)
	}
	return fmt.Sprintf("%s, window %d, burst %d, count %d", name, j.Window, j.Burst, j.Count)
}

func queueName(quorum bool) string {
	if quorum {
		return "quorum"
	}
	return "classic"
}

// jobVariable carries the job to the process that does it.
const jobVariable = "ENTSIGNAL_BENCH_JOB"

// do runs the job in a process of its own.
func (j job) do(ctx context.Context) (Figure, error) {
	fail := func(err error) (Figure, error) { return Figure{}, fmt.Errorf("%s: %w", j.name(), err) }
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	encoded, err := json.Marshal(j)
	if err != nil {
		return fail(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(encoded))
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fail(fmt.Errorf("%w: %s", err, bytes.TrimSpace(errs.Bytes())))
	}
	var f Figure
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		return fail(fmt.Errorf("%w in its output %q", err, out.String()))
	}
	return f, nil
}

// runJob is the whole of a process that does a job.
func runJob(ctx context.Context, encoded string) error {
	var j job
	if err := json.Unmarshal([]byte(encoded), &j); err != nil {
		return err
	}
	p, ok := programs()[j.Program]
	if !ok {
		return fmt.Errorf("no program %q", j.Program)
	}
	m := &meter{job: j}
	if err := p.run(ctx, j, m); err != nil {
		return err
	}
	if m.figure.Count == 0 || m.figure.Took <= 0 {
		return errors.New("nothing was measured")
	}
	return json.NewEncoder(os.Stdout).Encode(m.figure)
}
