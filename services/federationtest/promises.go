package federationtest

// A Promise is one of those that the federation makes. A test that finds one
// broken wraps it in its error; nothing else does.
type Promise string

// Error says which promise is broken.
func (p Promise) Error() string { return "promise broken: " + string(p) }

// The promises. The first six are those of the feed, as the contract names them.
const (
	// ErrOrdered: revisions of a feed only rise.
	ErrOrdered Promise = "ordered"
	// ErrUnique: a revision is sent once on a stream, and has a record once.
	ErrUnique Promise = "unique"
	// ErrAtomic: what was written together is read together, in every copy.
	ErrAtomic Promise = "atomic"
	// ErrReliable: no revision is missing, and each is the one that was written.
	ErrReliable Promise = "reliable"
	// ErrResumable: a reader goes on from where it was whenever that place is part
	// of the history that is still kept, and never otherwise.
	ErrResumable Promise = "resumable"
	// ErrBookmarkable: progress says what was sent, and never more.
	ErrBookmarkable Promise = "bookmarkable"

	// ErrVisible: the feed carries what operators of the federation may see: all of
	// it, and not a name beyond it.
	ErrVisible Promise = "visible"
	// ErrEqual: a copy equals its source at the revision it stands at, byte for
	// byte.
	ErrEqual Promise = "equal"
	// ErrConverged: once faults end, every copy soon stands where its source does,
	// and every comune's records are at every level.
	ErrConverged Promise = "converged"
	// ErrSound: a check of a store finds nothing.
	ErrSound Promise = "sound"
	// ErrDurable: an acknowledged write is there, and one that was not is there
	// whole or not at all.
	ErrDurable Promise = "durable"
	// ErrRepeatable: a repeated request gets its first answer and changes nothing.
	ErrRepeatable Promise = "repeatable"
	// ErrHonest: an answer is as fresh as it says.
	ErrHonest Promise = "honest"
	// ErrLoop: what goes round comes to an end.
	ErrLoop Promise = "loops end"
)
