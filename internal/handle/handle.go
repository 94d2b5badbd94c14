// Package handle joins the two halves of a bus. Applications hold an entsignal.Bus,
// whose methods are documented there; what they do is in package internal/engine,
// which needs the types of package entsignal, and so can't be imported by it. The
// engine is attached to the bus when the bus is made.
package handle

// A Handle holds the engine of a bus. E is what package entsignal asks of it.
type Handle[E any] struct{ engine E }

// Attach gives the handle its engine.
func (h *Handle[E]) Attach(engine E) { h.engine = engine }

// Engine returns the engine, or the zero value if none is attached.
func (h *Handle[E]) Engine() E { return h.engine }
