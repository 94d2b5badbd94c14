// Package annotation holds what a schema declares about a signal, in the form in
// which ent passes it from the schema to the code generator. Applications make
// annotations with the functions of package entsignal and with the mixins of
// package mixin.
package annotation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"entgo.io/ent/schema"
)

// Name is the name under which ent carries a [Signal].
const Name = "EntSignal"

// Signal configures a signal. Annotations merge; those of the schema override those
// of the mixin.
type Signal struct {
	Signal     bool      `json:"signal,omitempty"`      // set by mixin.Signal
	AutoFlush  *bool     `json:"auto_flush,omitempty"`  // nil: true
	BurstCount *int      `json:"burst_count,omitempty"` // nil: the bus's default
	OrderBy    *[]string `json:"order_by,omitempty"`    // nil: by id; see ParseTerm
	OrderKey   *string   `json:"order_key,omitempty"`   // nil: one order for all

	LockOrderKey bool `json:"lock_order_key,omitempty"`

	OrderIndex *bool `json:"order_index,omitempty"` // nil: if the columns can be indexed

	Retry *Retry `json:"retry,omitempty"` // set by mixin.Retry
	Trace bool   `json:"trace,omitempty"` // set by mixin.Trace
}

// Retry sets how often a signal is tried, and how long it waits in between. See the
// fields of mixin.Retry.
type Retry struct {
	MaxAttempts int           `json:"max_attempts"`
	MinBackoff  time.Duration `json:"min_backoff,omitempty"` // 0: 10 seconds
	MaxBackoff  time.Duration `json:"max_backoff,omitempty"` // 0: an hour, or MinBackoff if that is more
}

// Name implements [schema.Annotation].
func (Signal) Name() string { return Name }

// Merge implements [schema.Merger]. The values that other sets win.
func (a Signal) Merge(other schema.Annotation) schema.Annotation {
	var o Signal
	switch other := other.(type) {
	case Signal:
		o = other
	case *Signal:
		if other != nil {
			o = *other
		}
	default:
		return a
	}
	a.Signal = a.Signal || o.Signal
	if o.AutoFlush != nil {
		a.AutoFlush = o.AutoFlush
	}
	if o.BurstCount != nil {
		a.BurstCount = o.BurstCount
	}
	if o.OrderBy != nil {
		a.OrderBy = o.OrderBy
	}
	if o.OrderKey != nil {
		a.OrderKey = o.OrderKey
	}
	a.LockOrderKey = a.LockOrderKey || o.LockOrderKey
	if o.OrderIndex != nil {
		a.OrderIndex = o.OrderIndex
	}
	if o.Retry != nil {
		a.Retry = o.Retry
	}
	a.Trace = a.Trace || o.Trace
	return a
}

// Decode reads an annotation as ent's code generator holds it. It returns an error
// for a field that this version of the library doesn't know.
func Decode(raw any) (Signal, error) {
	var a Signal
	data, err := json.Marshal(raw)
	if err != nil {
		return a, fmt.Errorf("entsignal: annotation %s: %w", Name, err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return a, fmt.Errorf("entsignal: annotation %s: %w", Name, err)
	}
	return a, nil
}

var (
	_ schema.Annotation = Signal{}
	_ schema.Merger     = Signal{}
)
