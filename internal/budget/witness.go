package budget

import "context"

// A Witness sees the calls of one context.
type Witness interface {
	Began()
	Ended() // or was left behind
	// LeftBehind returns what is called when the call that was left behind has ended.
	LeftBehind() (returned func())
}

type witnessKey struct{}

// WithWitness returns a context whose calls w sees.
func WithWitness(ctx context.Context, w Witness) context.Context {
	return context.WithValue(ctx, witnessKey{}, w)
}

func witnessOf(ctx context.Context) Witness {
	if w, ok := ctx.Value(witnessKey{}).(Witness); ok {
		return w
	}
	return nobody{}
}

// nobody sees nothing.
type nobody struct{}

func (nobody) Began()             {}
func (nobody) Ended()             {}
func (nobody) LeftBehind() func() { return func() {} }
