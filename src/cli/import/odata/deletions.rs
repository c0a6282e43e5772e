//! What a service deletes along with a record: `OnDelete` of a relation (OData 4.01 CSDL, section 8.6), and whatever a
//! record contains (8.4).
//!
//! By the standard it stands with the record that is deleted first, as SAP's compositions say it. Others write it beside
//! the column that points to that record. Where the column is on its own side, both are taken for true.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::super::Failed;
use super::super::draft::{Cascade, Meaning};
use super::{Csdl, Navigation, Reading, Set, Structure, one};

/// What extends each type.
pub(super) fn derived(csdl: &Csdl) -> HashMap<&str, Vec<&str>> {
    let mut derived: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, of) in csdl.entities.iter().chain(&csdl.complex) {
        if let Some(base) = &of.base {
            derived.entry(base).or_default().push(name);
        }
    }
    derived
}

impl<'a> Reading<'a> {
    pub(super) fn cascades(
        &mut self,
        set: &'a Set,
        derived: &HashMap<&str, Vec<&str>>,
    ) -> Result<Vec<Cascade>, Failed> {
        let csdl = self.csdl;
        let mut found = Vec::new();
        let mut open = vec![(set.of.as_str(), false)];
        let mut seen = HashSet::new();
        while let Some((name, within)) = open.pop() {
            let all = if within { &csdl.complex } else { &csdl.entities };
            for of in self.family(all, name, derived)? {
                let complex = of.properties.iter().map(|property| one(&property.of));
                let complex = complex.filter(|of| csdl.complex.contains_key(*of) && seen.insert(*of));
                open.extend(complex.map(|of| (of, true)));
                for navigation in of.navigations.iter().filter(|to| to.cascades || to.contained) {
                    self.step()?;
                    found.extend(self.cascade(set, navigation, within)?);
                }
            }
        }
        Ok(found)
    }

    /// A type, those that it extends and those that extend it: records of these are in its sets as well.
    fn family(
        &mut self,
        all: &'a IndexMap<String, Structure>,
        name: &str,
        derived: &HashMap<&str, Vec<&str>>,
    ) -> Result<Vec<&'a Structure>, Failed> {
        let mut found = self.chain(all, name)?;
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            for name in derived.get(name).into_iter().flatten() {
                self.step()?;
                found.extend(all.get(*name));
                open.push(name);
            }
        }
        Ok(found)
    }

    fn cascade(&mut self, set: &'a Set, navigation: &Navigation, within: bool) -> Result<Vec<Cascade>, Failed> {
        let partner = self.partner(navigation)?;
        let target = self.target(set, navigation);
        let has_column = !navigation.is_many() && !navigation.constraints.is_empty();
        let by = match partner {
            _ if navigation.contained => Err("they are in no set"),
            _ if within => Err("the relation to them lies in a value"),
            _ if target.is_none() => Err("their set is not there"),
            Some(partner) => Ok(partner),
            None if has_column => Err("it is this record that points to them"),
            None => Err("no relation of theirs is said to lead back"),
        };
        let along = target.filter(|_| !navigation.contained).unwrap_or_else(|| one(&navigation.of));
        let standard = Cascade { of: set.name.clone(), along: along.to_owned(), by, meaning: None };
        let is_dependent = !navigation.is_many();
        match target {
            Some(target) if is_dependent && !navigation.contained => {
                let by = if within { Err("the relation to it lies in a value") } else { Ok(navigation.name.clone()) };
                let reverse =
                    Cascade { of: target.to_owned(), along: set.name.clone(), by, meaning: Some(Meaning::Reverse) };
                Ok(vec![Cascade { meaning: Some(Meaning::Standard), ..standard }, reverse])
            }
            _ => Ok(vec![standard]),
        }
    }

    /// The relation that leads back; either of the two may name the other (8.3). `None`: not one.
    fn partner(&mut self, navigation: &Navigation) -> Result<Option<String>, Failed> {
        if navigation.partner.is_some() {
            return Ok(navigation.partner.clone());
        }
        let csdl = self.csdl;
        let types = self.chain(&csdl.entities, one(&navigation.of))?;
        let mut back =
            types.iter().flat_map(|of| &of.navigations).filter(|back| back.partner.as_ref() == Some(&navigation.name));
        Ok(back.next().filter(|_| back.next().is_none()).map(|back| back.name.clone()))
    }
}
