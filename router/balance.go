package router

type policyKind uint8

const (
	ours policyKind = iota
	randomly
	inTurn
	leastRequest
	hashing
)

// balance is a compiled Balance.
type balance struct {
	kind    policyKind
	choices int
	hash    []HashOn
}

// maxChoices limits how many instances least_request compares.
const maxChoices = 16

func compileBalance(b Balance) balance {
	switch b.Policy {
	case "random":
		return balance{kind: randomly}
	case "round_robin":
		return balance{kind: inTurn}
	case "least_request":
		choices := b.Choices
		if choices <= 0 {
			choices = 2
		}
		return balance{kind: leastRequest, choices: min(choices, maxChoices)}
	case "ring_hash", "maglev":
		return balance{kind: hashing, hash: b.Hash}
	}
	return balance{}
}

// choose returns a member of g by its policy, -1 if none is eligible.
func choose[T Instance](b *balance, g *group[T], q *Query, ignoreEjection bool) int {
	n := len(g.members)
	if n == 0 {
		return -1
	}
	switch b.kind {
	case randomly:
		return g.random(0, n, -1, q, ignoreEjection)
	case inTurn:
		return g.next(0, n, int(g.turn.Add(1)%uint32(n)), -1, q, ignoreEjection)
	case leastRequest:
		return g.leastBusy(0, n, b.choices, q, ignoreEjection)
	case hashing:
		if key, ok := b.key(q); ok {
			return g.hashed(key, q, ignoreEjection)
		}
		return g.random(0, n, -1, q, ignoreEjection)
	}
	return g.nearest(q, ignoreEjection)
}

// key combines what a call has of the things to hash. ok is false if it has none.
func (b *balance) key(q *Query) (key uint64, ok bool) {
	for _, h := range b.hash {
		value := q.Caller
		if h.Header != "" {
			value = ""
			if q.Header != nil {
				value = q.Header(h.Header)
			}
		}
		if value == "" {
			continue
		}
		key, ok = key<<1|key>>63, true
		key ^= hash(value)
		if h.Terminal {
			break
		}
	}
	return key, ok
}

// hash is FNV-1a: every node must hash alike, and it must not allocate.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
