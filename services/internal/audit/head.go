package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/store"
)

// keyAction is the action of entries that announce a key.
const keyAction = "signing-key"

// KeyEntry announces, in the chain itself, that a server will sign with a key: a
// head of its older key covers the entry before the new one signs. The entry
// belongs into the commit that makes the key.
func KeyEntry(node string, key ed25519.PublicKey) *auditv1.AuditEntry {
	return &auditv1.AuditEntry{
		Actor: "local", Action: keyAction, Resource: node, Outcome: auditv1.AuditEntry_DONE, Reason: hex.EncodeToString(key),
	}
}

// announcedKey is the key that an entry announces, nil for none.
func announcedKey(entry *auditv1.AuditEntry, node string) ed25519.PublicKey {
	if entry.GetActor() != "local" || entry.GetAction() != keyAction || entry.GetResource() != node {
		return nil
	}
	key, err := hex.DecodeString(entry.GetReason())
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil
	}
	return key
}

// SignHead signs the end of a chain with the key of its server, "nodes/{id}".
func SignHead(key ed25519.PrivateKey, node string, end store.AuditPlace, stamp store.Stamp) *auditv1.AuditHead {
	head := &auditv1.AuditHead{
		Node: node, Sequence: end.Sequence, Hash: end.Hash, SignTime: timestamppb.New(stamp.Time),
		PublicKey: key.Public().(ed25519.PublicKey),
	}
	head.Signature = ed25519.Sign(key, signedText(head))
	return head
}

// soundHead tells whether the signature of a head is that of its own key.
func soundHead(head *auditv1.AuditHead) bool {
	return len(head.GetPublicKey()) == ed25519.PublicKeySize && ed25519.Verify(head.GetPublicKey(), signedText(head), head.GetSignature())
}

// signedText is what a head's signature is over; the contract says.
func signedText(head *auditv1.AuditHead) []byte {
	var b bytes.Buffer
	b.WriteString("cid-audit-head\x00")
	b.WriteString(head.GetNode())
	b.WriteByte(0)
	b.Write(binary.BigEndian.AppendUint64(nil, uint64(head.GetSequence())))
	b.Write(binary.BigEndian.AppendUint64(nil, uint64(head.GetSignTime().AsTime().UnixNano())))
	b.Write(head.GetHash())
	return b.Bytes()
}
