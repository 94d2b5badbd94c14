package entsignal

// PendingCount is the number of pending signals of one type.
type PendingCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"` // all pending signals, including Waiting and Dead
	// Waiting is how many have failed and wait for their next attempt. Dead is how many
	// are dead. Both are 0 without mixin.Retry.
	Waiting int `json:"waiting,omitempty"`
	Dead    int `json:"dead,omitempty"`
}

// Due returns how many signals a flush may send now: all except waiting and dead
// ones.
func (c PendingCount) Due() int { return c.Count - c.Waiting - c.Dead }
