package signalcli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
	"github.com/entsignal/signalbus/internal/view"
)

// errExceeded is the error of a check that has found more than it allows. Its line
// tells what.
var errExceeded = errors.New("a limit is exceeded")

// checked is what a check has found of one signal type.
type checked struct {
	Signal  string `json:"signal"`
	Pending int    `json:"pending"`
	Dead    int    `json:"dead"`
	// OldestID is the oldest pending signal, and AgeSeconds for how long it is pending,
	// or was seen to be the oldest; AgeIs says which.
	OldestID   string   `json:"oldest_id,omitempty"`
	AgeSeconds *float64 `json:"age_seconds,omitempty"`
	AgeIs      string   `json:"age_is,omitempty"`
	Exceeded   []string `json:"exceeded,omitempty"`

	age                   time.Duration
	morePending, moreDead bool // than were counted
}

// checkResult is what a check prints as JSON.
type checkResult struct {
	OK      bool      `json:"ok"`
	Signals []checked `json:"signals"`
}

// checker is the command check.
type checker struct {
	sys     system
	global  *global
	exclude []string
	pending limitValue
	dead    limitValue
	age     durationValue
	state   string
}

func newCheckCommand(sys system, g *global) *cobra.Command {
	k := &checker{sys: sys, global: g}
	c := &cobra.Command{
		Use:   "check [NAME...] --max-pending N | --max-dead N | --max-age D",
		Short: "Check limits, for cron and monitors",
		Long: `Check that no more signals are pending, or dead, and none for longer, than the
limits say. Each limit holds for each signal type. It prints one line, and exits
with 1 when a limit is exceeded or can't be checked. It counts no further than to
10,000, or to the highest limit, so that a table of millions is checked quickly.

With mixin.Trace the age of a signal is the time since it was recorded, by the clock
of the program that did. Other signals have no time of their own. Their age is for
how long the same signal was seen to be the oldest one. A check that has nothing to
go by has to watch: with --max-age it takes as long as the limit when a signal stays
that long, and ends at once when none is pending. With --state it doesn't wait: it
keeps in a file which signal was the oldest, and since when, from one check to the
next.`,
		Example: `  # from cron, each minute
  signalbus check --max-pending 10000 --max-dead 0 --max-age 5m --state /var/lib/orders/check.json

  # is anything stuck right now?
  signalbus check OrderPlaced --max-age 10s`,
		SilenceUsage:      true,
		ValidArgsFunction: completeNames(sys),
		RunE:              g.runE(k.run),
	}
	flags := c.Flags()
	flags.VarP(namesValue{&k.exclude, "NAME"}, "exclude", "e", "leave a signal out; may be given several times")
	flags.Var(&k.pending, "max-pending", "how many signals of a type may be pending")
	flags.Var(&k.dead, "max-dead", "how many of them may be dead")
	flags.Var(&k.age, "max-age", "for how long the oldest that isn't dead may be pending, as far as that is known")
	flags.StringVar(&k.state, "state", "", "file that keeps since when the oldest signals were seen")
	complete(c, "exclude", completeNames(sys))
	for _, name := range []string{"max-pending", "max-dead", "max-age"} {
		complete(c, name, cobra.NoFileCompletions)
	}
	return c
}

// run is the command.
func (k *checker) run(c *cobra.Command, names []string) error {
	selected := selection{names: names, exclude: k.exclude}
	if err := selected.checkEmpty(); err != nil {
		return cli.NewUsageError(c, err)
	}
	if !k.pending.set && !k.dead.set && !k.age.set {
		return cli.UsageErrorf(c, "which limit? expected --max-pending, --max-dead or --max-age")
	}
	return withBus(c, k.sys, func(ctx context.Context, bus *entsignal.Bus) error {
		if _, err := selected.choose(bus.Signals()); err != nil {
			return cli.NewUsageError(c, err)
		}
		found, err := k.check(ctx, bus, selected)
		if err != nil {
			return err
		}
		r := checkResult{OK: true, Signals: found}
		for _, f := range found {
			r.OK = r.OK && len(f.Exceeded) == 0
		}
		if k.global.output.Value == "json" {
			err = printJSON(c.OutOrStdout(), r)
		} else {
			_, err = fmt.Fprintln(c.OutOrStdout(), r.line())
		}
		if err == nil && !r.OK {
			c.SilenceErrors = true // the line has told it
			err = errExceeded
		}
		return err
	})
}

// check looks once, or with a limit of the age and no file until it knows.
func (k *checker) check(ctx context.Context, bus *entsignal.Bus, selected selection) ([]checked, error) {
	most := min(max(exactCounts, k.pending.n, k.dead.n), math.MaxInt-1) + 1
	counts, err := bus.Pending(ctx, append(selected.options(), entsignal.AtMost(most))...)
	if err != nil {
		return nil, err
	}
	found := make([]checked, len(counts))
	for i, n := range counts {
		found[i] = checked{Signal: n.Name, Pending: n.Count, Dead: n.Dead, morePending: n.Count >= most, moreDead: n.Dead >= most}
		if k.pending.set && n.Count > k.pending.n {
			found[i].Exceeded = append(found[i].Exceeded, fmt.Sprintf("%s pending (limit %d)", countText(n.Count, most), k.pending.n))
		}
		if k.dead.set && n.Dead > k.dead.n {
			found[i].Exceeded = append(found[i].Exceeded, fmt.Sprintf("%s dead (limit %d)", countText(n.Dead, most), k.dead.n))
		}
	}
	if !k.age.set {
		return found, nil
	}
	oldest, err := k.oldest(ctx, bus, selected)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i := range found {
		at := slices.IndexFunc(oldest, func(o entsignal.Oldest) bool { return o.Signal == found[i].Signal })
		if at < 0 || oldest[at].ID == "" {
			continue
		}
		age := oldest[at].Age(now)
		seconds := age.Seconds()
		found[i].OldestID, found[i].AgeSeconds, found[i].AgeIs, found[i].age = oldest[at].ID, &seconds, view.AgeIs(oldest[at]), age
		if age >= k.age.d {
			least := " at least"
			if oldest[at].Exact {
				least = ""
			}
			found[i].Exceeded = append(found[i].Exceeded, fmt.Sprintf("id %s pending for %v%s (limit %v)", oldest[at].ID, roundAge(age), least, k.age.d))
		}
	}
	return found, nil
}

// exactCounts is up to where a check counts, or to its limits if they are higher.
const exactCounts = 10_000

// countText is a count that stopped at most.
func countText(n, most int) string {
	if n >= most {
		return fmt.Sprintf("more than %d", most-1)
	}
	return strconv.Itoa(n)
}

// sumText is a sum of counts, of which one may have stopped.
func sumText(n int, more bool) string {
	if more {
		return fmt.Sprintf("%d or more", n)
	}
	return strconv.Itoa(n)
}

// oldest returns the oldest signals, and since when they were seen.
func (k *checker) oldest(ctx context.Context, bus *entsignal.Bus, selected selection) ([]entsignal.Oldest, error) {
	if k.state != "" {
		return remembered(ctx, bus, selected, k.state)
	}
	// What is the oldest now, and what is so until the limit is over, is too old.
	pause := min(max(k.age.d/20, 10*time.Millisecond), time.Second)
	var first map[string]string // by signal, the id of the oldest at the first look
	for {
		all, err := bus.Oldest(ctx, selected.options()...)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = make(map[string]string, len(all))
			for _, o := range all {
				first[o.Signal] = o.ID
			}
		}
		// One that wasn't the oldest at first can't get too old in this check.
		young := func(o entsignal.Oldest) bool {
			return o.ID != "" && !o.Exact && o.ID == first[o.Signal] && o.Age(time.Now()) < k.age.d
		}
		if !slices.ContainsFunc(all, young) {
			return all, nil
		}
		backoff.Wait(ctx, pause, nil)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// line is the result as a text.
func (r checkResult) line() string {
	var (
		over          []string
		pending, dead int
		oldest, more  checked
	)
	for _, s := range r.Signals {
		pending += s.Pending
		dead += s.Dead
		more.morePending = more.morePending || s.morePending
		more.moreDead = more.moreDead || s.moreDead
		if s.age > oldest.age {
			oldest = s
		}
		if len(s.Exceeded) > 0 {
			over = append(over, s.Signal+" has "+strings.Join(s.Exceeded, " and "))
		}
	}
	if !r.OK {
		return "exceeded: " + strings.Join(over, "; ")
	}
	line := fmt.Sprintf("ok: %s pending, %s dead", sumText(pending, more.morePending), sumText(dead, more.moreDead))
	switch oldest.AgeIs {
	case view.AgeIsExact:
		line += fmt.Sprintf(", the oldest recorded %v ago (%s %s)", roundAge(oldest.age), oldest.Signal, oldest.OldestID)
	case view.AgeIsSeen:
		line += fmt.Sprintf(", the oldest seen for %v (%s %s)", roundAge(oldest.age), oldest.Signal, oldest.OldestID)
	}
	return line
}

// roundAge leaves of an age what a reader wants.
func roundAge(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// limitValue is a flag that takes a whole number from 0.
type limitValue struct {
	n   int
	set bool
}

// Set implements pflag's Value.
func (v *limitValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return errors.New("expected a whole number from 0")
	}
	v.n, v.set = n, true
	return nil
}

// String implements pflag's Value.
func (v *limitValue) String() string {
	if !v.set {
		return ""
	}
	return strconv.Itoa(v.n)
}

// Type implements pflag's Value.
func (v *limitValue) Type() string { return "int" }
