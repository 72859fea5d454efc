# refused: the SLS 'nowhere' is not in the environment 'base'
# refused: the SLS 'neither' is not in the environment 'base'
# refused: must hold states
include: [nowhere, neither]
broken: 5
