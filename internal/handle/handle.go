// Package handle connects entsignal.Bus with its engine. Applications hold a Bus,
// whose methods are documented there. The work is done by package internal/engine,
// which imports package entsignal and so can't be imported by it. The engine is
// attached when the bus is made.
package handle

// A Handle holds the engine of a bus. E has the methods that package entsignal
// calls.
type Handle[E any] struct{ engine E }

// Attach sets the engine.
func (h *Handle[E]) Attach(engine E) { h.engine = engine }

// Engine returns the engine, or the zero value if none is attached.
func (h *Handle[E]) Engine() E { return h.engine }
