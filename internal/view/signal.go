// Package view has what the commands print as JSON and the page serves, so that both
// say the same.
package view

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// Pending is how many signals of a type are pending, and the oldest of them.
type Pending struct {
	entsignal.PendingCount
	OldestID   string   `json:"oldest_id,omitempty"`
	AgeSeconds *float64 `json:"age_seconds,omitempty"`
	AgeIs      string   `json:"age_is,omitempty"`
}

// What an age is: for how long the signal was seen, or the time since it was recorded.
const (
	AgeIsSeen  = "seen"
	AgeIsExact = "exact"
)

// AgeIs says what the age of a signal is.
func AgeIs(o entsignal.Oldest) string {
	if o.Exact {
		return AgeIsExact
	}
	return AgeIsSeen
}

// SetOldest sets the oldest signal and its age, if there is one.
func (p *Pending) SetOldest(o entsignal.Oldest, now time.Time) {
	if o.ID == "" {
		return
	}
	age := o.Age(now).Seconds()
	p.OldestID, p.AgeSeconds, p.AgeIs = o.ID, &age, AgeIs(o)
}

// Repaired is the result of a change of failed signals.
type Repaired struct {
	Signal string `json:"signal"`
	Count  int    `json:"count"`
}

// Shown is one signal with its fields.
type Shown struct {
	Signal string                     `json:"signal"`
	ID     string                     `json:"id"`
	Fields map[string]json.RawMessage `json:"fields"`
}

// Fields returns the fields of an entity by their names in JSON. ent's own JSON
// leaves out those that are zero.
func Fields(entity any) (map[string]json.RawMessage, error) {
	v := reflect.Indirect(reflect.ValueOf(entity))
	fields := make(map[string]json.RawMessage)
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || len(f.Index) > 1 || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		text, err := json.Marshal(v.FieldByIndex(f.Index).Interface())
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		if name != "edges" || string(text) != "{}" {
			fields[name] = text
		}
	}
	return fields, nil
}

// Mode returns the flush by which a relay sends a type.
func Mode(info entsignal.Info) entsignal.Mode {
	switch {
	case len(info.OrderBy) > 0 || info.OrderKey != "":
		return entsignal.ModeFlushOrdered
	case info.AutoFlush:
		return entsignal.ModeFlush
	default:
		return entsignal.ModeFlushMany
	}
}
