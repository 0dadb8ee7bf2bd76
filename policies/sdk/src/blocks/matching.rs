//! Which jobs fit into which places, as many as can be at once.
//!
//! Jobs of one label set are alike, and so are the places of one kind (the runners of a class that are
//! there, those of a class that may be launched). A job that would take any kind makes way for one that
//! takes a single kind, so whether a job finds a place does not depend on the order in which others
//! came: only how many there are of each label set matters. (In the words of the field, what can be
//! placed is a transversal matroid.)

/// Places taken by jobs.
#[derive(Debug, Clone)]
pub struct Matching {
    /// The kinds that each label set may take, the best first.
    fits: Vec<Vec<usize>>,
    /// Free places, by kind.
    free: Vec<u32>,
    /// Places taken, by label set and kind.
    taken: Vec<Vec<u32>>,
    /// Kinds that no job may take.
    closed: Vec<bool>,
    /// Label sets for whose jobs there is no place any more: as places only get fewer, it stays so.
    exhausted: Vec<bool>,
}

impl Matching {
    /// So many places of each kind, none of them taken; and which kinds each label set may take, the
    /// best first.
    pub fn new(fits: Vec<Vec<usize>>, free: Vec<u32>) -> Self {
        Self {
            taken: vec![vec![0; free.len()]; fits.len()],
            closed: vec![false; free.len()],
            exhausted: vec![false; fits.len()],
            fits,
            free,
        }
    }

    /// Keeps jobs away from a kind, or lets them have it again. Who has a place there keeps it.
    pub fn set_open(&mut self, kind: usize, open: bool) {
        if let Some(closed) = self.closed.get_mut(kind) {
            *closed = !open;
            self.exhausted.fill(false);
        }
    }

    /// Whether jobs may take that kind.
    pub fn is_open(&self, kind: usize) -> bool {
        self.closed.get(kind) == Some(&false)
    }

    /// The open kinds that a label set may take, the best first.
    fn fits(&self, label_set: usize) -> impl Iterator<Item = usize> + '_ {
        let fits = self.fits.get(label_set).map_or(&[][..], Vec::as_slice);
        fits.iter().copied().filter(|&kind| self.is_open(kind))
    }

    /// Takes a place for a job of a label set, the best that is free; others are moved where that makes
    /// room. The kind of which there is one place less now; none: nothing fits any more.
    pub fn place(&mut self, label_set: usize) -> Option<usize> {
        if self.exhausted.get(label_set) != Some(&false) {
            return None;
        }
        let first = self.fits(label_set).find(|&kind| self.free[kind] > 0);
        if let Some(kind) = first {
            self.free[kind] -= 1;
            self.taken[label_set][kind] += 1;
            return Some(kind);
        }
        let moved = self.make_way(label_set);
        self.exhausted[label_set] = moved.is_none();
        moved
    }

    /// Takes a free place of a kind without moving anybody. Whether there was one.
    pub fn take_free(&mut self, kind: usize) -> bool {
        match self.free.get_mut(kind) {
            Some(free) if *free > 0 && !self.closed[kind] => {
                *free -= 1;
                true
            }
            _ => false,
        }
    }

    /// Free places of a kind.
    pub fn free(&self, kind: usize) -> u32 {
        self.free.get(kind).copied().unwrap_or(0)
    }

    /// Takes one of the places that a label set's jobs have taken, the best first. None: it has
    /// none left.
    pub fn pick(&mut self, label_set: usize) -> Option<usize> {
        let kind = {
            let taken = self.taken.get(label_set)?;
            self.fits[label_set]
                .iter()
                .copied()
                .find(|&kind| taken.get(kind).is_some_and(|&taken| taken > 0))?
        };
        self.taken[label_set][kind] -= 1;
        Some(kind)
    }

    /// Looks for a chain of moves that ends in a free place (breadth first, so the shortest), and makes
    /// them.
    fn make_way(&mut self, label_set: usize) -> Option<usize> {
        // For each kind: the label set that wants it, so that the chain can be walked back.
        let mut wanted_by: Vec<Option<usize>> = vec![None; self.free.len()];
        let mut reached: Vec<usize> = Vec::new();
        for kind in self.fits(label_set) {
            wanted_by[kind] = Some(label_set);
            reached.push(kind);
        }
        // How each label set would leave its place: (its place, where to).
        let mut next = 0;
        let mut moved_from: Vec<Option<usize>> = vec![None; self.free.len()];
        while next < reached.len() {
            let kind = reached[next];
            next += 1;
            for other in 0..self.taken.len() {
                if self.taken[other][kind] == 0 {
                    continue;
                }
                let into: Vec<usize> = self
                    .fits(other)
                    .filter(|&into| wanted_by[into].is_none())
                    .collect();
                for into in into {
                    wanted_by[into] = Some(other);
                    moved_from[into] = Some(kind);
                    if self.free[into] > 0 {
                        self.walk_back(into, &wanted_by, &moved_from);
                        return Some(into);
                    }
                    reached.push(into);
                }
            }
        }
        None
    }

    fn walk_back(
        &mut self,
        free: usize,
        wanted_by: &[Option<usize>],
        moved_from: &[Option<usize>],
    ) {
        self.free[free] -= 1;
        let mut kind = free;
        while let Some(label_set) = wanted_by[kind] {
            self.taken[label_set][kind] += 1;
            let Some(from) = moved_from[kind] else {
                return;
            };
            self.taken[label_set][from] -= 1;
            kind = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matching(fits: &[&[usize]], free: &[u32]) -> Matching {
        let fits = fits.iter().map(|fits| fits.to_vec()).collect();
        Matching::new(fits, free.to_vec())
    }

    #[test]
    fn a_job_that_takes_any_class_makes_way_for_one_that_takes_a_single_one() {
        let mut matching = matching(&[&[0, 1], &[0]], &[1, 1]);
        assert!(matching.place(0).is_some());
        assert!(matching.place(1).is_some());
        assert_eq!(matching.place(0), None);
        assert_eq!(matching.pick(0), Some(1));
        assert_eq!(matching.pick(1), Some(0));
        assert_eq!(matching.pick(1), None);
    }

    #[test]
    fn a_closed_kind_is_taken_by_nobody() {
        let mut matching = matching(&[&[0, 1]], &[5, 1]);
        matching.set_open(0, false);
        assert!(matching.place(0).is_some());
        assert_eq!(matching.place(0), None);
    }

    fn placed(fits: &[Vec<usize>], free: &[u32], jobs: &[usize]) -> usize {
        let mut matching = Matching::new(fits.to_vec(), free.to_vec());
        jobs.iter()
            .filter(|&&job| matching.place(job).is_some())
            .count()
    }

    prop_compose! {
        fn worlds()(
            fits in prop::collection::vec(prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4), 1..5),
            free in prop::collection::vec(0_u32..4, 4),
            jobs in prop::collection::vec(0_usize..5, 0..14),
        ) -> (Vec<Vec<usize>>, Vec<u32>, Vec<usize>) {
            let jobs = jobs.into_iter().map(|job| job % fits.len()).collect();
            (fits, free, jobs)
        }
    }

    proptest! {
        /// How many find a place does not depend on the order in which they come.
        #[test]
        fn the_order_does_not_matter((fits, free, jobs) in worlds(), seed in any::<u64>()) {
            let mut other = jobs.clone();
            other.sort_by_key(|job| (u64::try_from(*job).unwrap() ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            prop_assert_eq!(placed(&fits, &free, &jobs), placed(&fits, &free, &other));
        }

        /// Every place taken is one that fits and was there, and every job placed can pick one.
        #[test]
        fn places_are_real((fits, free, jobs) in worlds()) {
            let mut matching = Matching::new(fits.clone(), free.clone());
            let placed: Vec<usize> = jobs.into_iter().filter(|&job| matching.place(job).is_some()).collect();
            let mut used = vec![0_u32; free.len()];
            for job in placed {
                let kind = matching.pick(job).unwrap();
                prop_assert!(fits[job].contains(&kind));
                used[kind] += 1;
            }
            for (kind, used) in used.into_iter().enumerate() {
                prop_assert!(used <= free[kind]);
                prop_assert_eq!(used + matching.free(kind), free[kind]);
            }
        }
    }
}
