// Package ids has ids, in a folder of another name.
package ids

// Courier is the id of a signal.
type Courier string
