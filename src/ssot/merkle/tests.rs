use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use std::collections::BTreeMap;

use super::naive::Named;
use super::*;

/// The eight leaves of certificate-transparency's `merkle_tree_test.cc`.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// Its roots of the first one, two, … leaves.
const SHA_ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// The same with BLAKE3, frozen: what a log of ours would have to keep.
const BLAKE_ROOTS: [&str; 8] = [
    "e071049d802b396ad9e6bb64411ba4bb6f4a061b7adeaa1937356f42b6f7067e",
    "d627035576e7ca1e01c770ae5df53b3c9268a99395425261174f0fb00b64f05b",
    "46035a592dd720719e79d1c74f3a8ee945a9cf99883ade8cd80cd5b4c121fee0",
    "de7976ba2c252f9f65cff4403c1f25a537fd6b381be94c8ca867f1b3f6261023",
    "ee167e9eed6ef142e14206f12f7bc648571cd8e8382f1973cd262564d739653f",
    "f41543d8d7ce34d569b168397b14e7563f21e58a926bbe13266107d93b85710b",
    "468211ecae4410d4d8be1271acd07c01289f098fabc648c276484c4c693c3d27",
    "e9be5b501136e4c2ec466c1167aed62f9613db583012b3ce7f8c23044c637fb2",
];

fn data(count: usize) -> Vec<[u8; 32]> {
    (0..count).map(|i| *crate::digest::Domain::Other.hash(&i.to_le_bytes()).as_bytes()).collect()
}

fn slices(data: &[[u8; 32]]) -> Vec<&[u8]> {
    data.iter().map(<[u8; 32]>::as_slice).collect()
}

/// All complete subtrees, as the frontier shows them.
struct Kept(BTreeMap<NodeId, Hash>);

impl Kept {
    fn of<H: TreeHash>(leaves: &[&[u8]]) -> Self {
        let (mut tree, mut kept) = (Frontier::<H>::new(), BTreeMap::new());
        for leaf in leaves {
            tree.push_leaf_with(&H::leaf(leaf), |id, hash| {
                assert_eq!(kept.insert(id, *hash), None, "{id} is complete once");
            });
        }
        Self(kept)
    }
}

impl Nodes for Kept {
    type Error = NodeId;

    fn node(&self, id: NodeId) -> Result<Hash, NodeId> {
        self.0.get(&id).copied().ok_or(id)
    }
}

fn roots<H: TreeHash>() -> Vec<std::string::String> {
    let mut tree = Frontier::<H>::new();
    let step = |leaf: &&[u8]| {
        tree.push(leaf);
        tree.root().to_string()
    };
    LEAVES.iter().map(step).collect()
}

#[test]
fn the_reference_roots_come_out() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Sha256::empty().to_string(), empty);
    assert_eq!(Frontier::<Sha256>::new().root().to_string(), empty);
    assert_eq!(roots::<Sha256>(), SHA_ROOTS);
    assert_eq!(naive::root::<Sha256>(&LEAVES).to_string(), SHA_ROOTS[7]);
    assert_eq!(naive::root::<Sha256>(&[]).to_string(), empty);
}

/// The two ways to hash are those of the crates, byte by byte.
#[test]
fn hashes_are_what_the_crates_compute() {
    use sha2::Digest as _;
    for len in 0..=130_u8 {
        let bytes: Vec<u8> = (0..len).collect();
        let prefixed = [&[0][..], &bytes].concat();
        let expected: [u8; 32] = sha2::Sha256::digest(prefixed).into();
        assert_eq!(Sha256::leaf(&bytes), Hash::from_bytes(expected), "{len}");
        let expected = blake3::derive_key("prospera 2026 tree leaf v1", &bytes);
        assert_eq!(Blake3::leaf(&bytes), Hash::from_bytes(expected), "{len}");
    }
    for pair in data(9).windows(2) {
        let [left, right] = [Hash::from_bytes(pair[0]), Hash::from_bytes(pair[1])];
        let expected: [u8; 32] = sha2::Sha256::digest([&[1][..], &pair.concat()].concat()).into();
        assert_eq!(Sha256::node(&left, &right), Hash::from_bytes(expected));
        let expected = blake3::derive_key("prospera 2026 tree node v1", &pair.concat());
        assert_eq!(Blake3::node(&left, &right), Hash::from_bytes(expected));
    }
    let empty = blake3::derive_key("prospera 2026 tree node v1", &[]);
    assert_eq!(Blake3::empty(), Hash::from_bytes(empty));
}

#[test]
fn the_roots_with_blake3_are_frozen() {
    assert_eq!(
        Blake3::empty().to_string(),
        "3cd0be80ace37e96f5d74dc3bfce984889250d232eac4f4d51b6b4f5822c987c"
    );
    assert_eq!(roots::<Blake3>(), BLAKE_ROOTS);
}

/// Every proof for every tree of up to so many leaves, against the RFC's own recursion.
const SIZES: usize = 70;

fn every_proof_is_the_naive_one<H: TreeHash>() {
    let data = data(SIZES);
    let leaves = slices(&data);
    let kept = Kept::of::<H>(&leaves);
    let mut tree = Frontier::<H>::new();
    for count in 0..=SIZES {
        let (of_size, size) = (&leaves[..count], count as u64);
        let root = naive::root::<H>(of_size);
        assert_eq!(tree.head(), TreeHead { size, root });
        assert_eq!(root_at::<H, _>(&kept, size).unwrap(), root);
        assert_eq!(resume::<H, _>(&kept, size).unwrap(), tree);
        for (index, leaf) in of_size.iter().enumerate() {
            let proof = prove_inclusion::<H, _>(&kept, index as u64, size).unwrap();
            assert_eq!(proof.path, naive::inclusion::<H>(index, of_size));
            let leaf = H::leaf(leaf);
            assert_eq!(proof.verify::<H>(&leaf, &root), Ok(()), "{index} of {size}");
        }
        for old in 0..=count {
            let proof = prove_consistency::<H, _>(&kept, old as u64, size).unwrap();
            assert_eq!(proof.path, naive::consistency::<H>(old, of_size));
            let before = naive::root::<H>(&leaves[..old]);
            assert_eq!(proof.verify::<H>(&before, &root), Ok(()), "{old} of {size}");
        }
        if let Some(leaf) = leaves.get(count) {
            tree.push(leaf);
        }
    }
}

#[test]
fn every_proof_is_the_naive_one_with_sha256() {
    every_proof_is_the_naive_one::<Sha256>();
}

#[test]
fn every_proof_is_the_naive_one_with_blake3() {
    every_proof_is_the_naive_one::<Blake3>();
}

fn flipped(path: &[Hash], at: usize) -> Vec<Hash> {
    let mut path = path.to_vec();
    let mut bytes = *path[at].as_bytes();
    bytes[at % 32] ^= 1 << (at % 8);
    path[at] = Hash::from_bytes(bytes);
    path
}

/// The path without one of its hashes, or with one more, and what each is told.
fn resized(path: &[Hash], more: Hash) -> Vec<(Vec<Hash>, ProofError)> {
    let mut out = Vec::new();
    let expected = path.len();
    for at in 0..=expected {
        let mut other = path.to_vec();
        other.insert(at, more);
        out.push((other, ProofError::Length { expected, found: expected + 1 }));
        let mut other = path.to_vec();
        if at < expected {
            other.remove(at);
            out.push((other, ProofError::Length { expected, found: expected - 1 }));
        }
    }
    out
}

/// What was changed in any way proves nothing, and the error says what it is.
#[test]
fn a_changed_inclusion_proof_proves_nothing() {
    let data = data(33);
    let leaves = slices(&data);
    let kept = Kept::of::<Sha256>(&leaves);
    for size in 1..=33_u64 {
        let root = root_at::<Sha256, _>(&kept, size).unwrap();
        for (index, leaf) in (0..size).zip(&leaves) {
            let proof = prove_inclusion::<Sha256, _>(&kept, index, size).unwrap();
            let leaf = Sha256::leaf(leaf);
            let fails = |proof: InclusionProof| proof.verify::<Sha256>(&leaf, &root).unwrap_err();
            for at in 0..proof.path.len() {
                let error = fails(InclusionProof { path: flipped(&proof.path, at), ..proof });
                assert!(matches!(error, ProofError::Root { expected, .. } if expected == root));
            }
            for (path, error) in resized(&proof.path, leaf) {
                assert_eq!(fails(InclusionProof { path, ..proof }), error);
            }
            let other = InclusionProof { index: size, ..proof.clone() };
            assert_eq!(fails(other), ProofError::Index { index: size, size });
            for index in (0..size).filter(|other| *other != index) {
                fails(InclusionProof { index, ..proof.clone() });
            }
        }
    }
}

#[test]
fn a_changed_consistency_proof_proves_nothing() {
    let data = data(33);
    let leaves = slices(&data);
    let kept = Kept::of::<Sha256>(&leaves);
    for new in 1..=33_u64 {
        let root = root_at::<Sha256, _>(&kept, new).unwrap();
        for old in 0..=new {
            let proof = prove_consistency::<Sha256, _>(&kept, old, new).unwrap();
            let before = root_at::<Sha256, _>(&kept, old).unwrap();
            let fails =
                |proof: ConsistencyProof| proof.verify::<Sha256>(&before, &root).unwrap_err();
            for at in 0..proof.path.len() {
                let error = fails(ConsistencyProof { path: flipped(&proof.path, at), ..proof });
                assert!(matches!(error, ProofError::Root { .. } | ProofError::OldRoot { .. }));
            }
            for (path, error) in resized(&proof.path, root) {
                assert_eq!(fails(ConsistencyProof { path, ..proof }), error);
            }
            let other = ConsistencyProof { old: new + 1, ..proof.clone() };
            assert_eq!(fails(other), ProofError::Sizes { old: new + 1, new });
            // Another old root is noticed whatever the sizes are, another new one unless
            // the old tree has no leaves.
            assert!(proof.verify::<Sha256>(&Hash::ZERO, &root).is_err());
            assert_eq!(proof.verify::<Sha256>(&before, &Hash::ZERO).is_ok(), old == 0);
        }
    }
}

#[test]
fn what_is_not_there_is_not_proved() {
    let kept = Kept(BTreeMap::new());
    let error = prove_inclusion::<Sha256, _>(&kept, 3, 3).unwrap_err();
    assert_eq!(error.to_string(), "expected an index below the tree's size 3, found 3");
    let error = prove_consistency::<Sha256, _>(&kept, 4, 3).unwrap_err();
    assert_eq!(error.to_string(), "expected the older tree to have at most 3 leaves, found 4");
    let error = prove_inclusion::<Sha256, _>(&kept, 0, 3).unwrap_err();
    assert!(matches!(error, ProveError::Nodes(NodeId { level: 0, index: 1 })), "{error}");
    for (begin, end) in [(0, 0), (1, 3), (2, 1), (4, 9), (6, 9), (1, u64::MAX)] {
        let error = subtree_root::<Sha256, _>(&kept, begin, end).unwrap_err();
        assert!(matches!(error, ProveError::Asked(ProofError::NoSubtree { .. })), "{error}");
    }
}

#[test]
fn ranges_have_roots_of_their_own() {
    let data = data(40);
    let leaves = slices(&data);
    let kept = Kept::of::<Sha256>(&leaves);
    let ranges = [(0, 1), (0, 40), (0, 33), (32, 40), (32, 37), (16, 31), (38, 40), (39, 40)];
    for (begin, end) in ranges {
        let found = subtree_root::<Sha256, _>(&kept, begin as u64, end as u64).unwrap();
        assert_eq!(found, naive::root::<Sha256>(&leaves[begin..end]), "{begin} to {end}");
    }
}

/// A tree put together from subtrees that were hashed elsewhere is the same tree.
#[test]
fn subtrees_are_pushed_where_they_fit() {
    let data = data(100);
    let leaves = slices(&data);
    let mut tree = Frontier::<Sha256>::new();
    for piece in leaves.chunks_exact(16) {
        assert!(tree.push_subtree(4, &naive::root::<Sha256>(piece)));
    }
    leaves[96..].iter().for_each(|leaf| tree.push(leaf));
    assert_eq!(tree.root(), naive::root::<Sha256>(&leaves));
    let before = tree.clone();
    assert!(!tree.push_subtree(4, &Hash::ZERO), "100 is no multiple of 16");
    assert!(!tree.push_subtree(64, &Hash::ZERO) && !tree.push_subtree(255, &Hash::ZERO));
    assert_eq!(tree, before);
    let mut huge = Frontier::<Sha256>::new();
    assert!(huge.push_subtree(63, &Hash::ZERO) && !huge.push_subtree(63, &Hash::ZERO));
    huge.push(b"one more");
    assert_eq!(huge.size(), (1 << 63) + 1);
}

#[test]
fn an_edge_has_a_hash_for_each_bit() {
    let data = data(11);
    let hashes: Vec<Hash> = data.iter().map(|bytes| Hash::from_bytes(*bytes)).collect();
    let edge = |size, count: usize| Frontier::<Sha256>::from_edge(size, hashes[..count].to_vec());
    assert!(edge(11, 3).is_some() && edge(0, 0).is_some());
    assert!(edge(11, 2).is_none() && edge(11, 4).is_none() && edge(0, 1).is_none());
    assert!(Frontier::<Sha256>::from_edge(u64::MAX, [Hash::ZERO; 64]).is_some());
}

/// The same code for trees that nobody can build.
#[test]
fn proofs_reach_to_the_largest_tree() {
    let powers = (0..64).flat_map(|level: u32| {
        let at = 1_u64 << level;
        [at - 1, at, at + 1, at / 2 * 3]
    });
    let some: Vec<u64> = powers.chain([u64::MAX, u64::MAX - 1, 0x0123_4567_89ab_cdef]).collect();
    for &size in some.iter().filter(|size| **size > 0) {
        let root = Named::hash(0, size);
        assert_eq!(root_at::<Named, _>(&Named, size).unwrap(), root, "{size}");
        assert_eq!(resume::<Named, _>(&Named, size).unwrap().root(), root);
        for &other in &some {
            if other < size {
                let proof = prove_inclusion::<Named, _>(&Named, other, size).unwrap();
                assert_eq!(proof.verify::<Named>(&Named::hash(other, other + 1), &root), Ok(()));
            }
            if 0 < other && other <= size {
                let proof = prove_consistency::<Named, _>(&Named, other, size).unwrap();
                let found = proof.verify::<Named>(&Named::hash(0, other), &root);
                assert_eq!(found, Ok(()), "{other} of {size}");
            }
        }
    }
}

#[test]
fn names_of_nodes_have_ends() {
    let node = |level, index| NodeId { level, index };
    assert_eq!(node(0, 0).end(), Some(1));
    assert_eq!(node(3, 4).end(), Some(40));
    assert_eq!(node(63, 0).end(), Some(1 << 63));
    assert_eq!(node(63, 1).end(), None);
    assert_eq!(node(64, 0).end(), None);
    assert_eq!(node(0, u64::MAX).end(), None);
    assert!(
        node(3, 4).is_within(40) && !node(3, 4).is_within(39) && !node(64, 0).is_within(u64::MAX)
    );
    assert_eq!(node(3, 4).to_string(), "node 4 of level 3");
    let all: Vec<NodeId> = cover(6, 21).collect();
    assert_eq!(all, [node(1, 3), node(3, 1), node(2, 4), node(0, 20)]);
    assert_eq!(cover(3, 3).count() + cover(4, 3).count(), 0);
}

#[test]
fn a_hash_is_shown_and_read_as_hex() {
    let hash = Sha256::leaf(b"x");
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(format!("{hash:?}"), format!("Hash({})", &hash.to_string()[..8]));
    let json = serde_json::to_string(&hash).unwrap();
    assert_eq!(serde_json::from_str::<Hash>(&json).unwrap(), hash);
    let error = Hash::try_from(&b"short"[..]).unwrap_err();
    assert_eq!(error.to_string(), "expected a hash of 32 bytes, found 5");
    assert_eq!(Hash::try_from(&hash.as_bytes()[..]), Ok(hash));
}
