//! QEMU's NICs by name.

use std::fmt;
use std::str::FromStr;

/// The NICs of QEMU that the driver knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NicModel {
    /// 82540EM.
    E1000,
    /// 82544GC.
    E100082544gc,
    /// 82545EM.
    E100082545em,
    /// 82574L.
    E1000e,
}

impl NicModel {
    /// All models.
    pub const ALL: [NicModel; 4] = [
        NicModel::E1000,
        NicModel::E100082544gc,
        NicModel::E100082545em,
        NicModel::E1000e,
    ];

    /// QEMU's name of the device.
    pub const fn name(self) -> &'static str {
        match self {
            NicModel::E1000 => "e1000",
            NicModel::E100082544gc => "e1000-82544gc",
            NicModel::E100082545em => "e1000-82545em",
            NicModel::E1000e => "e1000e",
        }
    }
}

impl fmt::Display for NicModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not a model that [`NicModel`] knows.
#[derive(Debug, thiserror::Error)]
#[error("no such NIC model: {0} (there are e1000, e1000-82544gc, e1000-82545em, e1000e)")]
pub struct UnknownModel(String);

impl FromStr for NicModel {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        Self::ALL
            .into_iter()
            .find(|model| model.name() == name)
            .ok_or_else(|| UnknownModel(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_as_qemu_names_them() {
        for model in NicModel::ALL {
            assert_eq!(model.to_string().parse::<NicModel>().unwrap(), model);
        }
        assert!("ne2k_pci".parse::<NicModel>().is_err());
    }
}
