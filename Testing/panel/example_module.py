"""A small module with a panel, written into a folder: what the tests of the stand-in run, and spoil on purpose."""

from pathlib import Path

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Example</class>
 <widget class="qMRMLWidget" name="Example">
  <layout class="QVBoxLayout" name="column">
   <item>
    <widget class="ctkCollapsibleButton" name="inputSection">
     <property name="text"><string>Inputs</string></property>
     <layout class="QFormLayout" name="inputForm">
      <item row="0" column="0">
       <widget class="QLabel" name="inputLabel"><property name="text"><string>Input volume:</string></property></widget>
      </item>
      <item row="0" column="1">
       <widget class="qMRMLNodeComboBox" name="inputSelector">
        <property name="toolTip"><string>The volume to work on.</string></property>
        <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
        <property name="showChildNodeTypes"><bool>false</bool></property>
        <property name="addEnabled"><bool>false</bool></property>
        <property name="removeEnabled"><bool>false</bool></property>
        <property name="noneEnabled"><bool>true</bool></property>
        <property name="SlicerParameterName" stdset="0"><string>inputVolume</string></property>
       </widget>
      </item>
      <item row="1" column="0">
       <widget class="QLabel" name="modeLabel"><property name="text"><string>Mode:</string></property></widget>
      </item>
      <item row="1" column="1">
       <widget class="QComboBox" name="modeBox">
        <property name="SlicerParameterName" stdset="0"><string>mode</string></property>
       </widget>
      </item>
     </layout>
    </widget>
   </item>
   <item>
    <widget class="ctkCollapsibleButton" name="settingsSection">
     <property name="text"><string>Settings</string></property>
     <layout class="QFormLayout" name="settingsForm">
      <item row="0" column="0">
       <widget class="QLabel" name="strengthLabel"><property name="text"><string>Strength:</string></property></widget>
      </item>
      <item row="0" column="1">
       <widget class="ctkSliderWidget" name="strengthSlider">
        <property name="singleStep"><double>0.05</double></property>
        <property name="SlicerParameterName" stdset="0"><string>strength</string></property>
       </widget>
      </item>
      <item row="1" column="0">
       <widget class="QLabel" name="stepsLabel"><property name="text"><string>Steps:</string></property></widget>
      </item>
      <item row="1" column="1">
       <widget class="QSpinBox" name="stepsBox">
        <property name="SlicerParameterName" stdset="0"><string>steps</string></property>
       </widget>
      </item>
      <item row="2" column="0">
       <widget class="QLabel" name="noteLabel"><property name="text"><string>Note:</string></property></widget>
      </item>
      <item row="2" column="1">
       <widget class="QLineEdit" name="noteEdit">
        <property name="SlicerParameterName" stdset="0"><string>note</string></property>
       </widget>
      </item>
      <item row="3" column="0">
       <widget class="QLabel" name="modelLabel"><property name="text"><string>Model:</string></property></widget>
      </item>
      <item row="3" column="1">
       <widget class="ctkPathLineEdit" name="modelPath">
        <property name="filters"><set>ctkPathLineEdit::Dirs</set></property>
       </widget>
      </item>
      <item row="4" column="1">
       <widget class="QCheckBox" name="keepBox">
        <property name="text"><string>Keep the noise map</string></property>
        <property name="SlicerParameterName" stdset="0"><string>keep</string></property>
       </widget>
      </item>
     </layout>
    </widget>
   </item>
   <item>
    <widget class="ctkCollapsibleButton" name="advancedSection">
     <property name="text"><string>Advanced</string></property>
     <property name="collapsed"><bool>true</bool></property>
     <layout class="QFormLayout" name="advancedForm">
      <item row="0" column="0">
       <widget class="QLabel" name="weightLabel"><property name="text"><string>Weight:</string></property></widget>
      </item>
      <item row="0" column="1">
       <widget class="QDoubleSpinBox" name="weightBox">
        <property name="SlicerParameterName" stdset="0"><string>weight</string></property>
       </widget>
      </item>
     </layout>
    </widget>
   </item>
   <item><widget class="QProgressBar" name="progressBar"><property name="value"><number>40</number></property></widget></item>
   <item><widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string></property></widget></item>
   <item><spacer name="rest"><property name="orientation"><enum>Qt::Vertical</enum></property></spacer></item>
  </layout>
 </widget>
 <customwidgets>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header><container>1</container></customwidget>
  <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>qMRMLNodeComboBox.h</header></customwidget>
  <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><header>ctkCollapsibleButton.h</header><container>1</container></customwidget>
  <customwidget><class>ctkSliderWidget</class><extends>QWidget</extends><header>ctkSliderWidget.h</header></customwidget>
  <customwidget><class>ctkPathLineEdit</class><extends>QWidget</extends><header>ctkPathLineEdit.h</header></customwidget>
 </customwidgets>
 <connections>
  <connection>
   <sender>Example</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>inputSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot>
  </connection>
 </connections>
</ui>
"""

CODE = """
import enum
from typing import Annotated

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class Example(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Example")
        self.parent.categories = ["Filtering"]
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Example", sampleName="ExampleHead", uris="https://example.org/head.nrrd", fileNames="head.nrrd", nodeNames="ExampleHead"
    )


class Mode(enum.Enum):
    FAST = "fast"
    CAREFUL = "careful"


@parameterNodeWrapper
class ExampleParameterNode:
    inputVolume: slicer.vtkMRMLScalarVolumeNode | None
    mode: Mode = Mode.CAREFUL
    strength: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    steps: Annotated[int, WithinRange(1, 50), Default(10)]
    weight: Annotated[float, WithinRange(0.0, 8.0)]
    note: str
    keep: bool


class ExampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.parameters = self.guiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Example.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = ExampleLogic()
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)

    def enter(self):
        self.setParameterNode(ExampleParameterNode(self.logic.getParameterNode()))

    def exit(self):
        self.setParameterNode(None)

    def cleanup(self):
        self.setParameterNode(None)
        self.removeObservers()

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        self.enter()

    def setParameterNode(self, parameters):
        if self.parameters is not None:
            self.parameters.disconnectGui(self.guiTag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self.parameters = None
        if parameters is not None:
            self.guiTag = parameters.connectGui(self.ui)
            self.parameters = parameters
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            self.onParametersModified()

    def onParametersModified(self, caller=None, event=None):
        ready = self.parameters.inputVolume is not None
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Run.") if ready else _("Choose an input volume first.")

    def onApply(self, checked=False):
        with slicer.util.tryWithErrorDisplay(_("It failed."), waitCursor=True):
            if slicer.util.confirmOkCancelDisplay(_("Overwrite {name}?").format(name=self.parameters.inputVolume.GetName())):
                self.logic.process(self.parameters.inputVolume, self.parameters.strength)


class ExampleLogic(ScriptedLoadableModuleLogic):
    def process(self, volume, strength):
        slicer.util.updateVolumeFromArray(volume, slicer.util.arrayFromVolume(volume) * strength)


class ExampleTest(ScriptedLoadableModuleTest):
    def test_parameters_have_defaults(self):
        self.assertEqual(ExampleParameterNode(ExampleLogic().getParameterNode()).steps, 10)
"""


def write_example(folder: Path, ui: tuple[str, str] = ("", ""), code: tuple[str, str] = ("", "")) -> Path:
    """Write the module, with one text of its .ui file or of its code replaced by another; gives the path of the module."""
    (folder / "Resources" / "UI").mkdir(parents=True)
    assert ui[0] in UI and code[0] in CODE
    (folder / "Resources" / "UI" / "Example.ui").write_text(UI.replace(*ui) if ui[0] else UI, encoding="utf-8")
    path = folder / "Example.py"
    path.write_text(CODE.replace(*code) if code[0] else CODE, encoding="utf-8")
    return path
