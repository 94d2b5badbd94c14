package entsignaltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

const (
	// maxListed is how many signals a failure text shows.
	maxListed = 50
	// maxSignal is how many bytes of each signal it shows.
	maxSignal = 1000
	// reportTime limits the query for pending signals.
	reportTime = 3 * time.Second
)

// report lists what was sent and what was not, for the text of a failed assertion
// about a lane.
func (o *Outbox) report(about *lane) string {
	o.mu.Lock()
	sent, failed := slices.Clone(o.sent), slices.Clone(o.failed)
	o.mu.Unlock()
	var b strings.Builder
	b.WriteString("Sent, in order:")
	if len(sent) == 0 {
		b.WriteString(" nothing.")
	}
	first := make(map[string]int)
	for i, m := range sent {
		if i == maxListed {
			fmt.Fprintf(&b, "\n  ... and %d more", len(sent)-maxListed)
			break
		}
		fmt.Fprintf(&b, "\n  %d. %s", i+1, signalText(m.signal))
		if m.meta.Mode != 0 {
			fmt.Fprintf(&b, ", by %v", m.meta.Mode)
		}
		if m.err != nil {
			fmt.Fprintf(&b, ", reported as failed: %v", m.err)
		}
		row := m.lane.name + ":" + m.id
		switch at, repeat := first[row]; {
		case m.id == "":
		case repeat:
			fmt.Fprintf(&b, ", the same row as %d", at)
		default:
			first[row] = i + 1
		}
	}
	if len(failed) > 0 {
		b.WriteString("\nNot sent:")
	}
	for _, m := range failed {
		fmt.Fprintf(&b, "\n  %s: %v", signalText(m.signal), m.err)
	}
	b.WriteString("\n" + o.pendingReport(about))
	return b.String()
}

// pendingReport lists what is pending, with a hint.
func (o *Outbox) pendingReport(about *lane) string {
	buses := o.busList()
	if len(buses) == 0 {
		return "The pending signals are unknown: make the bus with ent.NewSignalBus(senders, outbox.Option())."
	}
	ctx, cancel := context.WithTimeout(context.Background(), reportTime)
	defer cancel()
	counts, err := buses[0].Pending(ctx)
	var texts []string
	own := 0
	for _, c := range counts {
		if c.Count > 0 {
			texts = append(texts, pendingText(c))
		}
		if c.Name == about.name {
			own = c.Count
		}
	}
	switch {
	case err != nil:
		return fmt.Sprintf("The pending signals can't be read: %v", err)
	case own > 0:
		return fmt.Sprintf("Pending: %s. outbox.Drain(ctx) sends the pending signals.", strings.Join(texts, "; "))
	case len(texts) > 0:
		return fmt.Sprintf("Pending: %s; no %s.", strings.Join(texts, "; "), about.name)
	default:
		return "Pending: nothing. A signal that is neither sent nor pending was not recorded, or its transaction was not committed."
	}
}

func pendingText(c entsignal.PendingCount) string {
	text := fmt.Sprintf("%s %d", c.Name, c.Count)
	if c.Waiting > 0 {
		text += fmt.Sprintf(", of which %d failed and wait for their next attempt", c.Waiting)
	}
	if c.Dead > 0 {
		text += fmt.Sprintf(", of which %d are dead", c.Dead)
	}
	return text
}

// signalText formats a signal and its fields as ent does: sensitive fields stay
// hidden.
func signalText(signal any) string {
	text := fmt.Sprintf("%+v", signal)
	if _, ok := signal.(fmt.Stringer); ok {
		text = fmt.Sprint(signal)
	}
	if len(text) > maxSignal {
		text = strings.ToValidUTF8(text[:maxSignal], "") + "…"
	}
	return text
}

func list(names []string) string { return strings.Join(names, ", ") }
