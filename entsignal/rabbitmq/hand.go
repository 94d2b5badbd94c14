package rabbitmq

import "sync"

// hand counts the deliveries in hand. Its zero value is empty.
type hand struct {
	mu    sync.Mutex
	n     int
	empty chan struct{} // closed when n is 0 again
}

func (h *hand) take() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == 0 {
		h.empty = make(chan struct{})
	}
	h.n++
}

func (h *hand) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n--; h.n == 0 {
		close(h.empty)
	}
}

func (h *hand) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// emptied is closed when there is nothing in hand. It holds until the next take.
func (h *hand) emptied() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.empty == nil {
		h.empty = make(chan struct{})
		close(h.empty)
	}
	return h.empty
}
