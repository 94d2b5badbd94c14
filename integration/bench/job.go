package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
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
	Rate     int    // commits per second; 0: as many as there can be

	Woken       bool // with a wake-up
	Observed    bool // with otelsignal, and an SDK that samples 1 %
	ByHand      bool // trace contexts without otelsignal: a header of the raw broker, or a span around each commit, whose context is stored
	Unprepared  bool // without the statement cache of pqconn
	OldSnapshot bool // another session holds a snapshot from before the run
	Keys        int  // different keys of the rows
	Copies      int  // how often a consumer gets each message; 0: there is no consumer

	// What the stage adds.
	DSN, AMQP, Queue       string
	DatabasePID, BrokerPID int // 0: unknown
	Profile                string
}

// program is what a job can run. It calls m.start when it is set up and m.stop
// when the work is done.
type program struct {
	run      func(ctx context.Context, j job, m *meter) error
	parallel string // what a job's Parallel are
	table    string // of its signals; empty: events
	drains   bool   // it finds Count rows in the table, and leaves none
	records  bool   // it leaves Count rows in the table
	sends    bool   // it leaves Count messages in the queue
}

func programs() map[string]program {
	return map[string]program{
		"raw broker":                        {run: rawBroker, parallel: "connections", sends: true},
		"hand-written relay":                {run: handWrittenRelay, parallel: "workers", drains: true, sends: true},
		"raw drain":                         {run: rawDrain, parallel: "workers", drains: true},
		"plain commit":                      {run: plainCommit, parallel: "writers", records: true},
		"hand-written autoflush":            {run: handWrittenAutoflush, parallel: "writers", sends: true},
		"ent commit":                        {run: entCommit, parallel: "writers", records: true},
		"FlushMany":                         {run: flushMany, parallel: "workers", drains: true, sends: true},
		"FlushOrdered":                      {run: flushOrdered, parallel: "workers", drains: true, sends: true},
		"FlushMany, nothing":                {run: flushToNothing, parallel: "workers", drains: true},
		"FlushOrdered by OrderBy, nothing":  {run: flushRankedToNothing, parallel: "workers", table: "rankeds", drains: true},
		"FlushOrdered by OrderKey, nothing": {run: flushMovedToNothing, parallel: "workers", table: "moveds", drains: true},
		"Flush, nothing":                    {run: flushListedToNothing, parallel: "workers", drains: true},
		"FlushMany of nothing":              {run: emptyPass, parallel: "types"},
		"FlushOrdered of nothing":           {run: emptyPass, parallel: "types"},
		"autoflush":                         {run: autoflush, parallel: "writers", sends: true},
		"autoflush, async":                  {run: autoflushAsync, parallel: "writers", sends: true},
		"FlushMany, traced":                 {run: flushTraced, parallel: "workers", table: "traceds", drains: true, sends: true},
		"autoflush, traced":                 {run: autoflushTraced, parallel: "writers", table: "traceds", sends: true},
		"relay":                             {run: relayed, parallel: "writers", sends: true},
		"commit that leaves it":             {run: notified, parallel: "writers", records: true},
		"Once":                              {run: once, parallel: "consumers", records: true},
	}
}

// signals returns the table of the program's signals.
func (p program) signals() string { return cmp.Or(p.table, "events") }

// name describes the job.
func (j job) name() string {
	p := programs()[j.Program]
	parts := make([]string, 0, 8)
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if j.Database != "" {
		add("%s", databaseTitle(j.Database))
	}
	if p.sends {
		add("%s queue", queueName(j.Quorum))
	}
	add("%d %s", j.Parallel, p.parallel)
	if j.Burst > 0 {
		add("burst %d", j.Burst)
	}
	if j.Window > 0 {
		add("window %d", j.Window)
	}
	if j.Rate > 0 {
		add("%d/s", j.Rate)
	}
	if j.Keys > 0 {
		add("%d keys", j.Keys)
	}
	if j.Copies > 0 {
		add("each message %d times", j.Copies)
	}
	if j.Woken {
		add("woken")
	}
	if j.ByHand {
		add("contexts by hand")
	}
	if j.Observed {
		add("otelsignal")
	}
	if j.Unprepared {
		add("no statement cache")
	}
	add("%d of %d bytes", j.Count, j.Size)
	return j.Program + ": " + strings.Join(parts, ", ")
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

// jobOfThisProcess does the job that this process was started for and writes
// its figure. It reports false if there is none.
func jobOfThisProcess(ctx context.Context, stdout io.Writer) (bool, error) {
	encoded, ok := os.LookupEnv(jobVariable)
	if !ok {
		return false, nil
	}
	var j job
	if err := json.Unmarshal([]byte(encoded), &j); err != nil {
		return true, fmt.Errorf("%s: %w", jobVariable, err)
	}
	f, err := j.here(ctx)
	if err != nil {
		return true, err
	}
	return true, json.NewEncoder(stdout).Encode(f)
}

// here does the job in this process.
func (j job) here(ctx context.Context) (Figure, error) {
	p, ok := programs()[j.Program]
	if !ok {
		return Figure{}, fmt.Errorf("no program %q", j.Program)
	}
	m := &meter{job: j}
	if err := p.run(ctx, j, m); err != nil {
		return Figure{}, err
	}
	if m.figure.Count == 0 || m.figure.Took <= 0 {
		return Figure{}, errors.New("nothing was measured")
	}
	return m.figure, nil
}
